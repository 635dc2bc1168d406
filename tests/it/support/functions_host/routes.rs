//! Which function a path belongs to: routes are tried in the order of the functions' names, and the first that fits
//! is taken. None is preferred for being more exact.

use http::Method;

use super::app::{Function, Trigger};

/// A route such as `api/scheduler/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter,
    /// Everything that follows, also if nothing does.
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
        // A slash at the end makes no difference to the host.
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

/// The function that a request goes to. Methods count: another function may have the same route.
pub(super) fn find<'a>(functions: &'a [Function], method: &Method, path: &str) -> Option<&'a Function> {
    functions.iter().find(|function| match &function.trigger {
        // No method named means every method.
        Trigger::Http { methods, route, .. } => (methods.is_empty() || methods.contains(method)) && route.fits(path),
        Trigger::Queue(_) | Trigger::Timer(_) => false,
    })
}
