//! The operations with which a browser gets the dashboard.

use crate::api::openapi::{Answer, Description, Input, OtherAnswer, Refusal, Tag};

pub(in crate::http) static DASHBOARD: Description = Description {
    summary: "Show the dashboard",
    details: "A page for people, who log in there with a client id and an API key. It shows and does what the operations on \
              conversations allow.",
    answer: file("The page.", "text/html"),
    ..FILE
};

pub(in crate::http) static DASHBOARD_SCRIPT: Description = Description {
    summary: "Get the script of the dashboard",
    details: "The script that the page loads.",
    answer: file("The script.", "text/javascript"),
    ..FILE
};

pub(in crate::http) static DASHBOARD_STYLE: Description = Description {
    summary: "Get the style of the dashboard",
    details: "The style that the page loads.",
    answer: file("The style.", "text/css"),
    ..FILE
};

/// What all files have in common.
const FILE: Description = Description {
    tag: Tag::Service,
    summary: "",
    details: "",
    input: Input::Nothing,
    reads_if_match: false,
    answer: file("", ""),
    other_answers: &[OtherAnswer {
        status: 304,
        details: "If-None-Match has the tag of the file.",
        body: Refusal::Empty,
    }],
    problems: &[],
    links: &[],
};

const fn file(details: &'static str, media_type: &'static str) -> Answer {
    Answer { status: 200, details, media_type, schema: None, example: None, has_tag: false }
}
