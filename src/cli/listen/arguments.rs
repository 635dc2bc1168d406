//! The arguments behind `listen`.

use http::StatusCode;

use crate::domain::Secret;

/// What `listen` does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::cli) struct ListenArguments {
    /// The port, if the developer names it.
    pub(super) port: Option<u16>,
    /// The client whose keys verify.
    pub(super) client: Option<String>,
    /// The secret that verifies, in the place of the keys of a client.
    pub(super) secret: Option<Secret<String>>,
    /// The answers in their order; the last one stays.
    pub(super) answers: Option<Vec<Answer>>,
    /// The server to which each request is passed on.
    pub(super) forward: Option<String>,
    /// The text of the conversation to schedule.
    pub(super) schedule: Option<String>,
    /// The time from now to its delivery.
    pub(super) delay: Option<String>,
    /// The address of the service that schedules.
    pub(super) url: Option<String>,
    /// Whether it ends after a delivery.
    pub(super) once: bool,
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

    fn parse(text: &str) -> Option<Self> {
        if text == "timeout" {
            return Some(Self::Timeout);
        }
        // A status below 200 is not the answer to a request, and hyper sends none.
        StatusCode::from_bytes(text.as_bytes()).ok().filter(|s| (200..600).contains(&s.as_u16())).map(Self::Status)
    }
}

impl ListenArguments {
    /// Reads the arguments. `None` if they are not understood.
    pub(in crate::cli) fn parse(arguments: &[&str]) -> Option<Self> {
        let mut parsed = Self::default();
        let mut options = arguments.iter();
        while let Some(option) = options.next() {
            let mut text = || options.next().map(|value| (*value).to_owned());
            let is_repeated = match *option {
                "--port" => parsed.port.replace(text()?.parse().ok()?).is_some(),
                "--client" => parsed.client.replace(text()?).is_some(),
                "--secret" => parsed.secret.replace(Secret::new(text()?)).is_some(),
                "--answer" => {
                    let answers = text()?.split(',').map(Answer::parse).collect::<Option<Vec<_>>>()?;
                    parsed.answers.replace(answers).is_some()
                }
                "--forward" => parsed.forward.replace(text()?).is_some(),
                "--schedule" => parsed.schedule.replace(text()?).is_some(),
                "--in" => parsed.delay.replace(text()?).is_some(),
                "--url" => parsed.url.replace(text()?).is_some(),
                "--once" => std::mem::replace(&mut parsed.once, true),
                _ => return None,
            };
            if is_repeated {
                return None;
            }
        }
        let answers_twice = parsed.answers.is_some() && parsed.forward.is_some();
        let schedules_nothing = parsed.schedule.is_none() && (parsed.delay.is_some() || parsed.url.is_some());
        if answers_twice || schedules_nothing { None } else { Some(parsed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Option<ListenArguments> {
        ListenArguments::parse(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn each_option_may_be_given_once() {
        let all = "--port 9000 --client a --secret s --answer 500,timeout,200 --schedule hello --in 3s --url u --once";
        let status = |status| Answer::Status(StatusCode::from_u16(status).unwrap());
        let expected = ListenArguments {
            port: Some(9000),
            client: Some("a".to_owned()),
            secret: Some(Secret::new("s".to_owned())),
            answers: Some(vec![status(500), Answer::Timeout, status(200)]),
            forward: None,
            schedule: Some("hello".to_owned()),
            delay: Some("3s".to_owned()),
            url: Some("u".to_owned()),
            once: true,
        };
        assert_eq!(parse(all), Some(expected));
        assert_eq!(parse(""), Some(ListenArguments::default()));
        assert!(parse("--forward http://127.0.0.1:3000/hook").is_some());
        for wrong in ["--port", "--port x", "x", "--once --once", "--port 1 --port 2", "--schedule"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_a_final_status_or_a_timeout() {
        for wrong in ["", "100", "199", "600", "20", "500,", "slow", "500,,200"] {
            assert_eq!(ListenArguments::parse(&["--answer", wrong]), None, "{wrong}");
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for wrong in ["--answer 200 --forward http://127.0.0.1:1/", "--in 3s", "--url http://127.0.0.1:1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
