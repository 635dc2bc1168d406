//! The figures of docs/limits.md are those of the code.
//!
//! Each figure is compared with an expression of the source, because most of the constants are private. A constant that
//! changes, moves or gets another name fails this test until the page and the list below follow.

mod figures;

use std::fs;
use std::path::Path;

use mcp_scheduler::api::ProblemType;
use mcp_scheduler::config::settings;

use figures::{Figure, LIMITS};

/// A row of the table on the page.
struct Row {
    name: String,
    at_most: String,
    beyond: String,
    setting: String,
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rows of the table without those that only name a group.
fn rows() -> Vec<Row> {
    let page = read("docs/limits.md");
    let lines = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let mut rows = Vec::new();
    for line in lines.skip(1) {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let [name, at_most, beyond, setting] = cells.try_into().unwrap_or_else(|_| panic!("not four cells: {line}"));
        if !at_most.is_empty() {
            rows.push(Row { name, at_most, beyond, setting });
        }
    }
    rows
}

/// The figures of a cell. Times are in milliseconds, sizes in bytes.
fn figures_of(cell: &str) -> Vec<u64> {
    let words: Vec<_> = cell.split(|c: char| c.is_whitespace() || c == ';').filter(|word| !word.is_empty()).collect();
    let mut figures = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let number = word.trim_end_matches(',').replace(',', "");
        let Ok(number) = number.parse::<f64>() else {
            assert!(!word.contains(|c: char| c.is_ascii_digit()), "{word:?} in {cell:?} cannot be read");
            continue;
        };
        let unit = words.get(at + 1).map_or("", |unit| unit.trim_end_matches(','));
        // A comma behind the number separates it from the next word, which is no unit of it.
        let factor = if word.ends_with(',') { 1 } else { factor_of(unit) };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        figures.push((number * factor as f64) as u64);
    }
    figures
}

const fn factor_of(unit: &str) -> u64 {
    match unit.as_bytes() {
        b"KiB" => 1 << 10,
        b"MiB" => 1 << 20,
        b"GiB" => 1 << 30,
        b"s" => 1000,
        b"min" => 60 * 1000,
        b"h" => 3600 * 1000,
        b"day" | b"days" => 24 * 3600 * 1000,
        _ => 1,
    }
}

/// The value of an expression of the source: a product, a shift, or a duration.
fn value_of(expression: &str) -> Option<u64> {
    if let Some((kind, argument)) = expression.strip_prefix("Duration::from_").and_then(|rest| rest.split_once('(')) {
        let unit = match kind {
            "millis" => 1,
            "secs" => 1000,
            "mins" => 60 * 1000,
            "hours" => 3600 * 1000,
            _ => return None,
        };
        return Some(value_of(argument.strip_suffix(')')?)? * unit);
    }
    if let Some((value, by)) = expression.split_once(" << ") {
        return Some(value_of(value)? << value_of(by)?);
    }
    expression.split(" * ").map(|factor| factor.replace('_', "").parse::<u64>().ok()).product()
}

/// The values of the code for a figure: an array has several.
fn in_code(figure: &Figure) -> Vec<u64> {
    let (file, before, times, over) = match *figure {
        Figure::Code(file, before, times, over) => (file, before, times, over),
        Figure::Library(value) => return vec![value],
    };
    let source = read(&format!("src/{file}"));
    let rest: Vec<_> = source.split(before).skip(1).collect();
    let [rest] = rest[..] else { panic!("src/{file} has {before:?} {} times", rest.len()) };
    let expressions = match rest.strip_prefix('[') {
        Some(list) => list.split(']').next().unwrap().split(", ").collect(),
        None => vec![rest.split([';', ',', '"', '\n', '}', '.']).next().unwrap().trim()],
    };
    let value = |text: &str| {
        let text = if text.contains('(') { text } else { text.trim_end_matches(')') };
        value_of(text).unwrap_or_else(|| panic!("src/{file}: {before}{text}")) * times / over
    };
    expressions.into_iter().map(value).collect()
}

#[test]
fn each_figure_is_that_of_the_code() {
    let rows = rows();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    let listed: Vec<_> = LIMITS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, listed, "the rows of the page and of the list");
    let mut wrong = Vec::new();
    for (row, (name, figures)) in rows.iter().zip(LIMITS) {
        let (shown, expected): (_, Vec<u64>) = (figures_of(&row.at_most), figures.iter().flat_map(in_code).collect());
        if shown != expected {
            wrong.push(format!("{name}: {} is {shown:?}, and the code has {expected:?}", row.at_most));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_problem_and_each_setting_exists() {
    let settings: Vec<_> = settings().map(|(name, _)| name).collect();
    for row in rows() {
        for (status, name) in problems(&row.beyond) {
            let urn = format!("urn:mcp-scheduler:problem:{name}");
            let known = ProblemType::ALL.into_iter().find(|problem| problem.urn() == urn);
            let known = known.unwrap_or_else(|| panic!("{}: there is no problem {name}", row.name));
            assert_eq!(known.status().as_str(), status, "{}: {name}", row.name);
        }
        let setting = row.setting.trim_matches('`');
        assert!(setting == "–" || settings.contains(&setting), "{}: there is no setting {setting}", row.name);
    }
}

/// The problems in a cell, written as "429 `quota-exceeded`".
fn problems(cell: &str) -> Vec<(&str, &str)> {
    let words: Vec<_> = cell.split([' ', ',', ';']).collect();
    let pairs = words.windows(2).map(|pair| (pair[0], pair[1]));
    let is_status = |word: &str| word.len() == 3 && word.starts_with(['4', '5']);
    pairs
        .filter(|(status, name)| is_status(status) && name.starts_with('`'))
        .map(|(a, b)| (a, b.trim_matches('`')))
        .collect()
}

#[test]
fn figures_and_expressions_are_read() {
    assert_eq!(figures_of("1.25 MiB; 2,048 in 10 min, 8, none"), [1_310_720, 2048, 600_000, 8]);
    assert!(figures_of("half of all").is_empty());
    for (expression, value) in [("4 * 1024", 4096), ("8 << 20", 8_388_608), ("100_000", 100_000)] {
        assert_eq!(value_of(expression), Some(value));
    }
    assert_eq!(value_of("Duration::from_hours(3653 * 24)"), Some(315_619_200_000));
    assert_eq!(value_of("Self::OTHER"), None);
    assert_eq!(
        problems("429 `quota-exceeded`, or 503 `unavailable`"),
        [("429", "quota-exceeded"), ("503", "unavailable")]
    );
}
