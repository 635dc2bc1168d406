//! The document as a page for people: HTML without scripts, and without anything from another host.

mod fields;
mod html;
mod operation;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use self::html::{code, prose, text};
use self::operation::OperationView;
use super::Tag;
use crate::api::ProblemType;

const STYLE: &str = include_str!("style.css");

/// The policy with which a browser shows the page (`Content-Security-Policy`): its own style, and nothing else.
#[must_use]
pub fn page_policy() -> String {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page of a document.
#[must_use]
pub fn page(document: &Value) -> String {
    let operations = operation::all(document);
    let of = |tag: Tag| operations.iter().filter(move |operation| operation.tag == tag.name());
    let head = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<header>\n<h1>{title}</h1>\n{introduction}\n\
         <p>The same for programs: <a href=\"openapi.json\">openapi.json</a> (OpenAPI 3.1).</p>\n</header>\n",
        title = text(string(document, "/info/title")),
        introduction = prose(string(document, "/info/description")),
    );
    let contents = Tag::ALL.map(|tag| {
        let links: Vec<_> = of(tag).map(OperationView::link).collect();
        let (name, description) = (text(tag.name()), text(tag.description()));
        format!("<p><b>{name}</b>: {description}</p>\n<ul>{}</ul>\n", links.concat())
    });
    let sections = Tag::ALL.map(|tag| {
        let sections: Vec<_> = of(tag).map(|operation| operation.section(document)).collect();
        format!("<h2>{}</h2>\n{}", text(tag.name()), sections.concat())
    });
    let webhooks: Vec<_> = operation::webhooks(document).iter().map(|webhook| webhook.section(document)).collect();
    [
        head,
        format!("<nav>\n{}", contents.concat()),
        "<p><a href=\"#deliveries\">Deliveries</a>, <a href=\"#problems\">Problems</a></p>\n</nav>\n<main>\n"
            .to_owned(),
        sections.concat(),
        format!("<h2 id=\"deliveries\">Deliveries</h2>\n{}", webhooks.concat()),
        problems(),
        "</main>\n</html>\n".to_owned(),
    ]
    .concat()
}

/// The table of all types of problems.
fn problems() -> String {
    let row = |problem: ProblemType| {
        format!("<tr><td>{}<td>{}<td>{}\n", problem.status().as_u16(), code(problem.urn()), text(problem.title()))
    };
    let rows = ProblemType::ALL.map(row).concat();
    format!("<h2 id=\"problems\">Problems</h2>\n<table>\n<tr><th>Status<th>Type<th>Title\n{rows}</table>\n")
}

/// The string at a pointer of the document; empty without one.
fn string<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The value that a value refers to, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let path = value.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| document.pointer(path)).unwrap_or(value)
}

/// The members of the object at a pointer.
fn members<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// The items of the array at a pointer.
fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
