//! One operation of the page.

use serde_json::{Map, Value};

use super::html::{code, prose, text};
use super::{fields, items, members, resolved, string};

/// An operation of the document.
pub(super) struct OperationView<'a> {
    pub(super) tag: &'a str,
    name: &'a str,
    method: String,
    /// Empty for a webhook.
    path: &'a str,
    operation: &'a Value,
}

/// All operations, in the order of their paths.
pub(super) fn all(document: &Value) -> Vec<OperationView<'_>> {
    found(document, "/paths", true)
}

/// The requests that the service itself sends.
pub(super) fn webhooks(document: &Value) -> Vec<OperationView<'_>> {
    found(document, "/webhooks", false)
}

fn found<'a>(document: &'a Value, pointer: &str, has_path: bool) -> Vec<OperationView<'a>> {
    let mut found = Vec::new();
    for (path, item) in members(document, pointer) {
        for (method, operation) in members(item, "") {
            found.push(OperationView {
                tag: string(operation, "/tags/0"),
                name: string(operation, "/operationId"),
                method: method.to_uppercase(),
                path: if has_path { path } else { "" },
                operation,
            });
        }
    }
    found
}

impl OperationView<'_> {
    pub(super) fn link(&self) -> String {
        let (name, summary) = (text(self.name), text(string(self.operation, "/summary")));
        format!("<li>{} <a href=\"#{name}\">{summary}</a>\n", self.line())
    }

    fn line(&self) -> String {
        format!("<span class=\"method\">{}</span> {}", self.method, code(self.path))
    }

    pub(super) fn section(&self, document: &Value) -> String {
        let (name, operation) = (text(self.name), self.operation);
        let line = if self.path.is_empty() { String::new() } else { format!("<p>{}</p>\n", self.line()) };
        let head = format!(
            "<section id=\"{name}\">\n<h3>{}</h3>\n{line}{}<p class=\"note\">{name}{}</p>\n",
            text(string(operation, "/summary")),
            prose(string(operation, "/description")),
            self.scope(),
        );
        let limit = text(string(operation, "/requestBody/description"));
        let bodies = members(operation, "/requestBody/content").map(|(media, content)| {
            let table = content.get("schema").map(|schema| fields::table(document, schema)).unwrap_or_default();
            let media = text(media);
            format!("<details><summary>Body: {media}</summary>\n<p>{limit}</p>\n{table}</details>\n")
        });
        let bodies = bodies.collect::<Vec<_>>().concat();
        let (example, responses) =
            if self.path.is_empty() { Default::default() } else { (self.example(), self.responses(document)) };
        [head, self.parameters(document), bodies, example, responses, "</section>\n".to_owned()].concat()
    }

    fn scope(&self) -> String {
        match items(self.operation, "/security").flat_map(|scheme| members(scheme, "")).next() {
            Some((_, scopes)) => {
                let scopes: Vec<_> = items(scopes, "").filter_map(Value::as_str).map(code).collect();
                let needs = if scopes.is_empty() { "a token" } else { "a token with the scope" };
                format!(", needs {needs} {}", scopes.join(" "))
            }
            None => String::new(),
        }
    }

    fn parameters(&self, document: &Value) -> String {
        let rows: String =
            items(self.operation, "/parameters").map(|parameter| parameter_row(document, parameter)).collect();
        if rows.is_empty() {
            return rows;
        }
        format!(
            "<details><summary>Parameters</summary>\n<table>\n<tr><th>Name<th>Type<th>Meaning\n{rows}</table>\n</details>\n"
        )
    }

    /// The first example of the body, as a command.
    fn example(&self) -> String {
        let json = members(self.operation, "/requestBody/content/application~1json/examples").next();
        let form = members(self.operation, "/requestBody/content/application~1x-www-form-urlencoded/examples").next();
        let mut parts = vec![format!("curl -X {} \"$URL{}\"", self.method, self.path)];
        if items(self.operation, "/security").next().is_some() {
            parts.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
        }
        if let Some(value) = json.and_then(|(_, example)| example.get("value")) {
            parts.push("-H 'Content-Type: application/json'".to_owned());
            // A quotation mark inside of the shell's quotation marks.
            parts.push(format!("-d '{}'", format!("{value:#}").replace('\'', r"'\''")));
        }
        if let Some(Value::Object(form)) = form.and_then(|(_, example)| example.get("value")) {
            parts.extend(form_fields(form));
        }
        format!("<details><summary>Example</summary>\n<pre>{}</pre>\n</details>\n", text(&parts.join(" \\\n  ")))
    }

    fn responses(&self, document: &Value) -> String {
        let responses = members(self.operation, "/responses").map(|(status, response)| {
            let response = resolved(document, response);
            let bodies = members(response, "/content").map(|(media, content)| response_body(document, media, content));
            let bodies = bodies.collect::<Vec<_>>().concat();
            let description = text(string(response, "/description"));
            format!("<details><summary>{status}: {description}</summary>\n{bodies}</details>\n")
        });
        let responses = responses.collect::<Vec<_>>().concat();
        format!("<details><summary>Responses</summary>\n{responses}</details>\n")
    }
}

fn form_fields(form: &Map<String, Value>) -> impl Iterator<Item = String> {
    form.iter().map(|(name, value)| format!("-d {name}={}", value.as_str().unwrap_or_default()))
}

fn parameter_row(document: &Value, parameter: &Value) -> String {
    let required = if parameter.get("required") == Some(&Value::Bool(true)) { " <b>required</b>" } else { "" };
    let name = format!("{} in the {}{required}", code(string(parameter, "/name")), text(string(parameter, "/in")));
    let kind = parameter.get("schema").map(|schema| fields::kind(document, schema)).unwrap_or_default();
    fields::row(&name, &kind, string(parameter, "/description"))
}

fn response_body(document: &Value, media: &str, content: &Value) -> String {
    let types: Vec<_> = items(content, "/schema/properties/type/enum")
        .filter_map(Value::as_str)
        .map(|urn| format!("<li>{}", code(urn)))
        .collect();
    if !types.is_empty() {
        return format!("<p>{}, with one of these types:</p>\n<ul>{}</ul>\n", code(media), types.concat());
    }
    let table = content.get("schema").map(|schema| fields::table(document, schema)).unwrap_or_default();
    let example = content.get("example").map(|example| format!("<pre>{}</pre>\n", text(&format!("{example:#}"))));
    format!("<p>{}</p>\n{}{table}", code(media), example.unwrap_or_default())
}
