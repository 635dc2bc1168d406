//! The import directions between modules, the limits on the length of files and functions, and where the tests of an
//! operation are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mcp_scheduler::http::operations;

/// Each module of the crate, from the outside in, and the modules it may import.
const ALLOWED: [(&str, &[&str]); 32] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "app",
            "config",
            "cost",
            "delivery",
            "domain",
            "http",
            "private_files",
            "secrets",
            "telemetry",
            "text",
            "time",
        ],
    ),
    (
        "app",
        &[
            "api",
            "auth",
            "backup",
            "config",
            "delivery",
            "descriptors",
            "dev",
            "domain",
            "http",
            "login",
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
            "backup",
            "current",
            "delivery",
            "dev",
            "domain",
            "json",
            "login",
            "maintenance",
            "mcp",
            "metrics",
            "public_url",
            "scheduler",
            "sync",
            "text",
            "time",
        ],
    ),
    ("mcp", &["api", "auth", "delivery", "domain", "json", "login", "metrics", "public_url", "scheduler", "text"]),
    ("api", &["auth", "backup", "delivery", "domain", "json", "scheduler", "template", "text"]),
    ("dev", &["delivery", "domain", "maintenance", "store", "sync", "time"]),
    (
        "secrets",
        &[
            "auth",
            "azure",
            "config",
            "current",
            "delivery",
            "domain",
            "json",
            "key_list",
            "private_files",
            "store",
            "time",
        ],
    ),
    ("telemetry", &["config", "domain", "json", "metrics", "sync", "text", "time"]),
    ("config", &["auth", "azure", "delivery", "domain", "public_url", "store"]),
    (
        "delivery",
        &["current", "domain", "json", "maintenance", "metrics", "outbound", "store", "sync", "template", "time"],
    ),
    ("scheduler", &["current", "domain", "metrics", "store", "sync", "time"]),
    ("login", &["auth", "current", "domain", "json", "public_url", "store", "sync", "time"]),
    ("maintenance", &["domain", "metrics", "store", "time"]),
    ("backup", &["store"]),
    ("auth", &["current", "domain", "json", "key_list", "metrics", "public_url", "store", "sync", "time"]),
    ("outbound", &["domain", "sync", "text"]),
    ("testing", &["domain", "store", "sync", "time"]),
    ("store", &["azure", "current", "domain", "json", "key_list", "metrics", "private_files", "sync", "time"]),
    ("template", &["domain"]),
    ("azure", &["domain", "json", "time"]),
    ("time", &["domain", "sync"]),
    ("json", &["domain"]),
    ("domain", &[]),
    ("cost", &[]),
    ("current", &[]),
    ("descriptors", &[]),
    ("key_list", &[]),
    ("metrics", &[]),
    ("private_files", &[]),
    ("sync", &[]),
    ("text", &[]),
];

/// Operations whose tests are not in a file of their own name.
const TESTED_ELSEWHERE: [(&str, &str); 28] = [
    ("authorize", "operations/login"),
    ("submitAuthorization", "operations/login"),
    ("completeSignIn", "operations/login"),
    ("registerOauthClient", "operations/login"),
    ("revokeOauthToken", "operations/login"),
    ("dashboardScript", "operations/dashboard"),
    ("dashboardStyle", "operations/dashboard"),
    ("docs", "operations/openapi"),
    ("ready", "operations/health"),
    ("oauthMetadata", "operations/oauth_metadata"),
    ("protectedResource", "operations/oauth_metadata"),
    ("protectedMcpResource", "operations/oauth_metadata"),
    ("mcp", "mcp"),
    ("scheduleNamedConversation", "operations/named_conversations"),
    ("getNamedConversation", "operations/named_conversations"),
    ("cancelNamedConversation", "operations/named_conversations"),
    ("listClients", "operations/clients"),
    ("addClient", "operations/clients"),
    ("getClient", "operations/clients"),
    ("rotateClientKey", "operations/clients"),
    ("retireClientKey", "operations/clients"),
    ("disableClient", "operations/clients"),
    ("enableClient", "operations/clients"),
    ("setClientSignatures", "operations/clients"),
    ("setClientLimits", "operations/budgets"),
    ("approveClientHost", "operations/approved_hosts"),
    ("exportConversations", "operations/backup"),
    ("importConversations", "operations/backup"),
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
fn every_entry_of_the_table_is_needed() {
    let used: BTreeSet<_> = sources()
        .into_iter()
        .flat_map(|(module, _, text)| imports(&text).into_iter().map(move |import| (module.clone(), import)))
        .collect();
    for (module, allowed) in ALLOWED {
        for import in allowed {
            let entry = (module.to_owned(), (*import).to_owned());
            assert!(used.contains(&entry), "no file of {module} imports {import}");
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

/// The domain is what the product is about; how it is written down is the affair of the API and the store.
#[test]
fn the_domain_knows_no_representation() {
    for (_, path, text) in sources().into_iter().filter(|(module, ..)| module == "domain") {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for library in ["serde", "schemars", "base64"] {
            assert!(!code.contains(library), "{} names {library}", path.display());
        }
    }
}

#[test]
fn no_file_is_longer_than_400_lines() {
    for (path, lines) in code() {
        let count = lines.len();
        assert!(count <= 400, "{path} has {count} lines without its tests");
    }
}

#[test]
fn no_function_is_longer_than_60_lines() {
    for (path, lines) in code() {
        for (line, length) in functions(&lines) {
            assert!(length <= 60, "{path}:{line}: the function has {length} lines");
        }
    }
}

#[test]
fn the_length_of_a_function_goes_from_its_name_to_its_closing_brace() {
    let text = "\
pub(in crate::http) async fn three_lines() {
    if true {}
}

trait Declarations {
    fn one_line(&self);
    fn several(
        &self,
    ) -> u32;
    const fn four_lines(
    ) {
        // fn in a comment {
    }
}

fn empty() {}
";
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(functions(&lines), [(1, 3), (6, 1), (7, 3), (10, 4), (16, 1)]);
}

/// The first line of each function, counted from 1, and the number of its lines.
fn functions(lines: &[String]) -> Vec<(usize, usize)> {
    let starts = lines.iter().enumerate().filter(|(_, line)| is_function(line.trim_start()));
    let measured = starts.map(|(start, first)| {
        // rustfmt puts the end at the indentation of the first line.
        let indent = &first[..first.len() - first.trim_start().len()];
        let is_end = |line: &String| {
            line.strip_prefix(indent).is_some_and(|rest| !rest.starts_with(' ') && rest.ends_with(['}', ';']))
        };
        let length = lines[start..].iter().position(is_end).map_or(1, |offset| offset + 1);
        (start + 1, length)
    });
    measured.collect()
}

/// Whether a line is the first one of a function.
fn is_function(line: &str) -> bool {
    let Some((modifiers, _)) = line.split_once("fn ") else { return false };
    modifiers.is_empty() || ["pub", "const", "async"].iter().any(|word| modifiers.starts_with(word))
}

/// The lines of each source file up to its tests, without the files that hold only tests.
fn code() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = sources().into_iter().filter(|(_, path, _)| !path.to_str().unwrap().ends_with("tests.rs"));
    files
        .map(|(_, path, text)| {
            let code = text.split("#[cfg(test)]").next().unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            (name, code.lines().map(str::to_owned).collect())
        })
        .collect()
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
