//! The arguments behind `listen`.

use std::convert::Infallible;
use std::str::FromStr;

use clap::Args;
use http::StatusCode;

use crate::domain::Secret;

/// Receive deliveries on 127.0.0.1, show each one, and say whether its signature verifies and what to change if not
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mcp-scheduler listen --schedule \"Hello\" --in 3s --once\n  \
                  mcp-scheduler listen --forward http://127.0.0.1:3000/hook\n  \
                  mcp-scheduler listen --answer 500,timeout,200")]
pub(in crate::cli) struct ListenArguments {
    /// The port; without it 8787, or a free one if another program has 8787
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// Verify with the keys of this client; without it, with those of the first client
    #[arg(long, value_name = "NAME")]
    pub(super) client: Option<String>,
    /// Verify with this secret, and not with the keys of a client
    #[arg(long, value_name = "whsec_…", value_parser = secret)]
    pub(super) secret: Option<Secret<String>>,
    /// Answer with these in their order; the last one stays. Each is a status or timeout
    #[arg(long, value_name = "ANSWERS", value_delimiter = ',', conflicts_with = "forward")]
    pub(super) answer: Option<Vec<Answer>>,
    /// Pass each request on to your own server, and answer what it answers
    #[arg(long, value_name = "URL")]
    pub(super) forward: Option<String>,
    /// Schedule this text on the running service, with this receiver as its endpoint
    #[arg(long, value_name = "TEXT")]
    pub(super) schedule: Option<String>,
    /// The time from now to the delivery of that text; without it 3s
    #[arg(long = "in", value_name = "TIME", requires = "schedule")]
    pub(super) delay: Option<String>,
    /// The address of the service that schedules
    #[arg(long, value_name = "URL", requires = "schedule")]
    pub(super) url: Option<String>,
    /// End after a delivery; the exit code is 0 if it verifies
    #[arg(long)]
    pub(super) once: bool,
}

fn secret(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Status(StatusCode),
    /// No answer, until the sender gives up.
    Timeout,
}

impl Answer {
    /// The status; none for a timeout.
    pub(super) const fn status(self) -> Option<StatusCode> {
        match self {
            Self::Status(status) => Some(status),
            Self::Timeout => None,
        }
    }
}

impl FromStr for Answer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "timeout" {
            return Ok(Self::Timeout);
        }
        // A status below 200 is not the answer to a request, and hyper sends none.
        let status = StatusCode::from_bytes(text.as_bytes()).ok().filter(|s| (200..600).contains(&s.as_u16()));
        status.map(Self::Status).ok_or("must be timeout, or a status from 200 to 599")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::Command;
    use crate::cli::arguments::tests::{parse, refused};

    fn arguments(text: &str) -> ListenArguments {
        let Command::Listen(arguments) = parse(&format!("listen {text}")) else { panic!("{text}") };
        arguments
    }

    #[test]
    fn the_answers_are_read_in_their_order() {
        let status = |status| Answer::Status(StatusCode::from_u16(status).unwrap());
        let answers = arguments("--answer 500,timeout,200").answer;
        assert_eq!(answers, Some(vec![status(500), Answer::Timeout, status(200)]));
        assert_eq!(arguments("").answer, None);
    }

    #[test]
    fn an_answer_is_a_final_status_or_a_timeout() {
        for wrong in ["", "100", "199", "600", "20", "500,", "slow", "500,,200"] {
            refused(&format!("listen --answer={wrong}"));
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for wrong in [
            "--answer 200 --forward http://127.0.0.1:1/",
            "--in 3s",
            "--url http://127.0.0.1:1",
            "--port x",
            "--once --once",
            "8787",
        ] {
            refused(&format!("listen {wrong}"));
        }
        assert_eq!(arguments("--schedule hello --in 3s").delay.as_deref(), Some("3s"));
    }
}
