//! Which module may import which, how long a file may be, and where the tests of an operation are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mcp_scheduler::http::operations;

/// Each module of the crate, and the modules that it may import.
const ALLOWED: [(&str, &[&str]); 18] = [
    ("main", &["cli"]),
    ("cli", &["app", "config", "domain", "secrets", "telemetry", "time"]),
    (
        "app",
        &[
            "auth",
            "config",
            "delivery",
            "domain",
            "http",
            "maintenance",
            "mcp",
            "outbound",
            "public_url",
            "scheduler",
            "secrets",
            "store",
            "time",
        ],
    ),
    (
        "http",
        &[
            "api",
            "auth",
            "delivery",
            "domain",
            "json",
            "maintenance",
            "mcp",
            "public_url",
            "scheduler",
            "store",
            "time",
        ],
    ),
    ("mcp", &["api", "auth", "domain", "json", "public_url", "scheduler"]),
    ("api", &["auth", "domain", "json", "scheduler", "store"]),
    ("secrets", &["auth", "config", "delivery", "domain", "store", "time"]),
    ("telemetry", &["config"]),
    ("config", &["auth", "delivery", "domain", "public_url", "store"]),
    ("delivery", &["domain", "json", "maintenance", "outbound", "store", "time"]),
    ("scheduler", &["domain", "store", "time"]),
    ("maintenance", &["domain", "store", "time"]),
    ("auth", &["domain", "public_url", "store", "time"]),
    ("outbound", &["domain"]),
    ("testing", &["domain", "store"]),
    ("store", &["domain", "json", "time"]),
    ("time", &["domain"]),
    ("domain", &["json"]),
];

/// Operations whose tests are not in a file of their own name.
const TESTED_ELSEWHERE: [(&str, &str); 5] = [
    ("ready", "operations/health"),
    ("oauthMetadata", "operations/oauth_metadata"),
    ("protectedResource", "operations/oauth_metadata"),
    ("protectedMcpResource", "operations/oauth_metadata"),
    ("mcp", "mcp"),
];

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    files(&src)
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&src).unwrap();
            let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            (first.trim_end_matches(".rs").to_owned(), path, text)
        })
        .collect()
}

/// `scheduleConversation` as `schedule_conversation`.
fn snake_case(name: &str) -> String {
    let word = |c: char| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.to_string() };
    name.chars().map(word).collect()
}

/// The modules that a source file imports by `crate::` or by the name of the crate, without its unit tests.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for root in ["crate::", "mcp_scheduler::"] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap(),
                None => rest,
            };
            for name in names.split(',').take(if rest.starts_with('{') { usize::MAX } else { 1 }) {
                let name: String = name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn imports_point_one_way() {
    for (module, path, text) in sources() {
        let allowed = ALLOWED.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, allowed)| allowed);
        for import in imports(&text) {
            assert!(
                import == module || allowed.contains(&import.as_str()),
                "{} imports {import}, which {module} may not import",
                path.display()
            );
        }
    }
}

#[test]
fn the_table_has_no_cycle() {
    // The list goes from the outside in: each module may import only modules below it.
    for (i, (module, allowed)) in ALLOWED.iter().enumerate() {
        for import in *allowed {
            let at = ALLOWED.iter().position(|(name, _)| name == import);
            assert!(at.is_none_or(|at| at > i), "{module} imports {import}, which is above it in the list");
        }
    }
}

#[test]
fn files_stay_readable() {
    for (_, path, text) in sources() {
        let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(lines <= 450, "{} has {lines} lines without its tests", path.display());
    }
}

#[test]
fn test_files_have_at_most_400_lines() {
    for path in files(&root().join("tests/it")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_operation_has_a_file_or_a_folder_of_tests() {
    let names: Vec<_> = operations().iter().map(|operation| operation.name).collect();
    for name in &names {
        let listed = TESTED_ELSEWHERE.iter().find(|(listed, _)| listed == name);
        let place = listed.map_or_else(|| format!("operations/{}", snake_case(name)), |(_, place)| (*place).to_owned());
        let path = root().join("tests/it").join(&place);
        assert!(path.is_dir() || path.with_extension("rs").is_file(), "{name} has no tests in tests/it/{place}");
    }
    for (listed, _) in TESTED_ELSEWHERE {
        assert!(names.contains(&listed), "there is no operation {listed}");
    }
}
