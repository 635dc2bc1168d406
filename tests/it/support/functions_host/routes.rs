//! Finds the function of a path. Routes are tried in the order of the functions' names, and the first match is taken, even
//! if a later one is more exact.

use http::Method;

use super::app::{Function, Trigger};

/// A route such as `api/scheduler/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter,
    /// The rest of the path, which may be empty.
    Rest,
}

impl Template {
    pub fn parse(route: &str) -> Self {
        let segments = route.split('/').filter(|segment| !segment.is_empty()).map(|segment| {
            match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                None => Segment::Literal(segment.to_owned()),
                Some(rest) if rest.starts_with('*') => Segment::Rest,
                Some(name) => {
                    assert!(!name.contains([':', '?', '=']), "{route}: constraints and defaults are not played here");
                    Segment::Parameter
                }
            }
        });
        Self(segments.collect())
    }

    fn fits(&self, path: &str) -> bool {
        // The host ignores a slash at the end.
        let mut path = path.trim_start_matches('/').trim_end_matches('/').split('/').filter(|part| !part.is_empty());
        for segment in &self.0 {
            match (segment, path.next()) {
                (Segment::Rest, _) => return true,
                (Segment::Parameter, Some(_)) => {}
                (Segment::Literal(literal), Some(part)) if literal.eq_ignore_ascii_case(part) => {}
                _ => return false,
            }
        }
        path.next().is_none()
    }
}

/// The function of a request. The method counts too, because another function may have the same route.
pub(super) fn find<'a>(functions: &'a [Function], method: &Method, path: &str) -> Option<&'a Function> {
    functions.iter().find(|function| match &function.trigger {
        // A function without methods accepts every method.
        Trigger::Http { methods, route, .. } => (methods.is_empty() || methods.contains(method)) && route.fits(path),
        Trigger::Queue(_) | Trigger::Timer(_) => false,
    })
}
