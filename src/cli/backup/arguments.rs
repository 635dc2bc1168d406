//! The arguments of `export` and `import`.

use std::path::PathBuf;

/// The arguments behind `export`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct ExportArguments {
    /// Whether secrets are written in plain text.
    pub(in crate::cli) reveal: bool,
    /// The address of the service, if the operator names it.
    pub(in crate::cli) url: Option<String>,
}

/// The arguments behind `import`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct ImportArguments {
    /// The file that is read. Without one, standard input is.
    pub(in crate::cli) file: Option<PathBuf>,
    /// The address of the service, if the operator names it.
    pub(in crate::cli) url: Option<String>,
}

impl ExportArguments {
    /// Reads the arguments. `None` if they are not understood.
    pub(in crate::cli) fn parse(arguments: &[&str]) -> Option<Self> {
        let (mut read, mut rest) = (Self::default(), arguments.iter());
        while let Some(option) = rest.next() {
            let is_repeated = match *option {
                "--reveal" => std::mem::replace(&mut read.reveal, true),
                "--url" => read.url.replace((*rest.next()?).to_owned()).is_some(),
                _ => return None,
            };
            if is_repeated {
                return None;
            }
        }
        Some(read)
    }
}

impl ImportArguments {
    /// Reads the arguments. `None` if they are not understood.
    pub(in crate::cli) fn parse(arguments: &[&str]) -> Option<Self> {
        let (mut read, mut rest) = (Self::default(), arguments.iter());
        while let Some(argument) = rest.next() {
            let is_repeated = match *argument {
                "--url" => read.url.replace((*rest.next()?).to_owned()).is_some(),
                file if !file.is_empty() && !file.starts_with('-') => read.file.replace(file.into()).is_some(),
                _ => return None,
            };
            if is_repeated {
                return None;
            }
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: &str) -> Vec<&str> {
        arguments.split_whitespace().collect()
    }

    #[test]
    fn an_export_takes_the_address_and_reveal() {
        let url = || Some("https://a.example".to_owned());
        for (arguments, reveal, url) in [
            ("", false, None),
            ("--reveal", true, None),
            ("--url https://a.example", false, url()),
            ("--url https://a.example --reveal", true, url()),
        ] {
            assert_eq!(ExportArguments::parse(&words(arguments)), Some(ExportArguments { reveal, url }), "{arguments}");
        }
        for arguments in ["file", "--url", "--reveal --reveal", "--url a --url b", "--json"] {
            assert_eq!(ExportArguments::parse(&words(arguments)), None, "{arguments}");
        }
    }

    #[test]
    fn an_import_takes_the_address_and_a_file() {
        let (url, file) = (|| Some("a".to_owned()), || Some(PathBuf::from("all.jsonl")));
        for (arguments, file, url) in [
            ("", None, None),
            ("all.jsonl", file(), None),
            ("--url a", None, url()),
            ("all.jsonl --url a", file(), url()),
            ("--url a all.jsonl", file(), url()),
        ] {
            assert_eq!(ImportArguments::parse(&words(arguments)), Some(ImportArguments { file, url }), "{arguments}");
        }
        for arguments in ["a b", "--url", "--reveal", "-", "--url a --url b"] {
            assert_eq!(ImportArguments::parse(&words(arguments)), None, "{arguments}");
        }
    }
}
