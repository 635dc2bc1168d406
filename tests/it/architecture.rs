//! Who may import whom, and how large files may grow.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate, and the ones it may import.
const ALLOWED: [(&str, &[&str]); 20] = [
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
    ("secrets", &["auth", "config", "delivery", "domain", "json", "store", "time"]),
    ("telemetry", &["config"]),
    ("config", &["auth", "delivery", "domain", "public_url", "store"]),
    ("delivery", &["domain", "json", "maintenance", "outbound", "store", "sync", "time"]),
    ("scheduler", &["domain", "store", "time"]),
    ("maintenance", &["domain", "store", "time"]),
    ("auth", &["domain", "json", "public_url", "store", "sync", "time"]),
    ("outbound", &["domain", "sync"]),
    ("testing", &["domain", "store", "sync"]),
    ("store", &["domain", "json", "time"]),
    ("time", &["domain"]),
    ("json", &["domain"]),
    ("domain", &[]),
    ("sync", &[]),
];

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn sources() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
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

/// The crate's modules that a text names, by `crate::` or by the crate's own name; tests excepted.
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
                "{} imports {import}, which {module} may not know",
                path.display()
            );
        }
    }
}

#[test]
fn the_table_has_no_cycle() {
    // Listed from the outside in, each module may only know modules further down.
    for (i, (module, allowed)) in ALLOWED.iter().enumerate() {
        for import in *allowed {
            let at = ALLOWED.iter().position(|(name, _)| name == import);
            assert!(at.is_none_or(|at| at > i), "{module} imports {import}, which stands above it");
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
fn files_stay_readable() {
    for (_, path, text) in sources() {
        let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(lines <= 450, "{} has {lines} lines without its tests", path.display());
    }
}
