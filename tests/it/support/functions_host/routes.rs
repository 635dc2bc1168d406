//! Finds the function of a path. Routes are tried in the order of the functions' names, and the first match is taken, even
//! if a later one is more exact.

use http::Method;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

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
    /// Everything that follows, if it is something and begins with none of these.
    RestBut(Vec<String>),
}

impl Template {
    pub fn parse(route: &str) -> Self {
        let segments = route.split('/').filter(|segment| !segment.is_empty()).map(|segment| {
            match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                None => Segment::Literal(segment.to_owned()),
                Some(rest) if rest.starts_with('*') => rest_segment(rest),
                Some(name) => {
                    assert!(!name.contains([':', '?', '=']), "{route}: constraints and defaults are not played here");
                    Segment::Parameter
                }
            }
        });
        Self(segments.collect())
    }

    fn fits(&self, path: &str) -> bool {
        let path = path.strip_prefix('/').unwrap_or(path);
        // The host ignores a slash at the end.
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let mut parts = trimmed.split('/').take(if trimmed.is_empty() { 0 } else { usize::MAX });
        for segment in &self.0 {
            match (segment, parts.next()) {
                (Segment::Rest, _) => return true,
                (Segment::RestBut(refused), _) => return begins_with_none(path, refused),
                (Segment::Parameter, Some(part)) if !part.is_empty() => {}
                (Segment::Literal(literal), Some(part)) if literal.eq_ignore_ascii_case(part) => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

/// `*name`, or `*name:regex(^(?!a|b).*$)`, which is the only constraint that the stand-in has.
fn rest_segment(rest: &str) -> Segment {
    let Some((_, constraint)) = rest.split_once(':') else { return Segment::Rest };
    let names = constraint.strip_prefix("regex(^(?!").and_then(|text| text.strip_suffix(").*$)"));
    let names = names.unwrap_or_else(|| panic!("the stand-in does not have the constraint {constraint}"));
    let is_plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    assert!(names.split('|').all(is_plain), "the stand-in does not have the constraint {constraint}");
    Segment::RestBut(names.split('|').map(str::to_owned).collect())
}

/// The pattern ignores the case, and its dot does not match a line feed. It does not match an empty path.
fn begins_with_none(path: &str, refused: &[String]) -> bool {
    let path = path.to_ascii_lowercase();
    !path.is_empty() && !path.contains('\n') && !refused.iter().any(|name| path.starts_with(&name.to_ascii_lowercase()))
}

/// The function of a request. The method counts too, because another function may have the same route.
pub(super) fn find<'a>(functions: &'a [Function], method: &Method, path: &str) -> Option<&'a Function> {
    functions.iter().find(|function| match &function.trigger {
        // A function without methods accepts every method.
        Trigger::Http { methods, route, .. } => (methods.is_empty() || methods.contains(method)) && route.fits(path),
        Trigger::Queue(_) | Trigger::Timer(_) => false,
    })
}

/// The path as routes see it: decoded but for slashes, and without dots. None if it is no text.
pub(super) fn decoded(path: &str) -> Option<String> {
    let kept = path.replace("%2f", "%252f").replace("%2F", "%252F");
    let text = percent_decode_str(&kept).decode_utf8().ok()?;
    if text.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let ends_in_a_folder = text.ends_with("/.") || text.ends_with("/..");
    Some(format!("/{}{}", parts.join("/"), if ends_in_a_folder && !parts.is_empty() { "/" } else { "" }))
}

/// The same path as the handler is asked for it.
pub(super) fn encoded(path: &str) -> String {
    const OTHERS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`');
    const REFUSED: &AsciiSet = &OTHERS.add(b'{').add(b'}').add(b'^').add(b'|').add(b'\\').add(b'[').add(b']');
    utf8_percent_encode(path, REFUSED).to_string()
}

#[test]
fn a_constraint_refuses_what_begins_with_a_name_however_it_is_spelt() {
    let template = Template::parse("{*rest:regex(^(?!deliver|sweep-2).*$)}");
    for (path, fits) in [
        ("/nowhere", true),
        ("/api/deliver", true),
        ("/%2Fdeliver", true),
        ("//deliver", true),
        ("/", false),
        ("/deliver", false),
        ("/DELIVER/", false),
        ("/delivery/x", false),
        ("/%64eliver", false),
        ("/d%65liver", false),
        ("/./deliver", false),
        ("/a/../deliver", false),
        ("/a/%2e%2E/sweep-2", false),
        ("/%0Adeliver", false),
    ] {
        assert_eq!(template.fits(&decoded(path).unwrap()), fits, "{path}");
    }
    assert!(Template::parse("{*rest}").fits("/"));
}

#[test]
fn the_handler_is_asked_for_the_path_that_was_routed() {
    for (path, asked) in [
        ("/a%20b/%C3%BC", "/a%20b/%C3%BC"),
        ("/%61", "/a"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/a/b/.", "/a/b/"),
        ("/..", "/"),
        ("//a", "//a"),
        ("/a%3Fb", "/a%3Fb"),
    ] {
        assert_eq!(encoded(&decoded(path).unwrap()), asked, "{path}");
    }
    assert_eq!((decoded("/%00"), decoded("/%ff")), (None, None));
}
