//! Golden files: answers change only on purpose.

use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;

/// Compares an answer with `tests/fixtures/answers/<name>.json`, with ids, times and tokens masked.
///
/// `UPDATE_ANSWERS=1` writes the file first; review the change like any other.
#[track_caller]
pub fn check(name: &str, answer: &Value) {
    let mut masked = answer.clone();
    mask("", &mut masked);
    check_exactly(name, &masked);
}

/// The same without masks, for an answer that never differs.
#[track_caller]
pub fn check_exactly(name: &str, answer: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/answers").join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(answer).unwrap() + "\n";
    if is_update() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(text, kept, "{name} has changed");
}

/// Compares a text with the part of a document between the lines `<!-- counted: NAME -->` and `<!-- end -->`.
///
/// `UPDATE_ANSWERS=1` writes the part first.
#[track_caller]
pub fn check_part(document: &str, name: &str, text: &str) {
    /// Tests that run at the same time write parts of the same document.
    static WRITING: Mutex<()> = Mutex::new(());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let kept = {
        let _writing = WRITING.lock().unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let begin = format!("<!-- counted: {name} -->\n");
        let (before, rest) = whole.split_once(&begin).unwrap_or_else(|| panic!("{document} has no part {name}"));
        let (kept, after) = rest.split_once("<!-- end -->").unwrap();
        if is_update() {
            std::fs::write(&path, format!("{before}{begin}{text}<!-- end -->{after}")).unwrap();
            return;
        }
        kept.to_owned()
    };
    assert!(text == kept, "{document}: {name} has changed to\n{text}from\n{kept}");
}

#[allow(clippy::disallowed_methods)] // the switch is the developer's, not the service's
fn is_update() -> bool {
    std::env::var_os("UPDATE_ANSWERS").is_some()
}

/// Replaces values that differ from run to run by their kind. A value of an unexpected form stays and fails the test.
fn mask(name: &str, value: &mut Value) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(name, member)| mask(name, member)),
        Value::Array(items) => items.iter_mut().for_each(|item| mask("", item)),
        Value::Number(_) if matches!(name, "durationMs" | "latenessMs" | "dueInSeconds") => *value = "<number>".into(),
        Value::String(text) if matches!(name, "token" | "access_token") && text.split('.').count() == 3 => {
            "<token>".clone_into(text);
        }
        Value::String(text) if name == "nextCursor" => "<cursor>".clone_into(text),
        Value::String(text) if name == "receipt" && text.split('-').count() == 3 => "<receipt>".clone_into(text),
        Value::String(text) => {
            replace_all(text, "0000-00-00T00:00:00.000Z", "<time>");
            replace_all(text, "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx", "<id>");
            if let Some((before, after)) = text.split_once("http://127.0.0.1:") {
                *text = format!("{before}http://<receiver>{}", after.trim_start_matches(|c: char| c.is_ascii_digit()));
            }
        }
        _ => {}
    }
}

/// Replaces every part of a text that matches the pattern: `0` stands for a digit, `x` for a hex digit.
fn replace_all(text: &mut String, pattern: &str, mask: &str) {
    let alike = |part: &str| {
        part.len() == pattern.len()
            && part.chars().zip(pattern.chars()).all(|(c, p)| match p {
                '0' => c.is_ascii_digit(),
                'x' => c.is_ascii_hexdigit(),
                _ => c == p,
            })
    };
    let find = |text: &str| (0..text.len()).find(|&i| text.get(i..i + pattern.len()).is_some_and(alike));
    while let Some(at) = find(text) {
        text.replace_range(at..at + pattern.len(), mask);
    }
}
