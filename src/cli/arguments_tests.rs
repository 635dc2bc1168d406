use std::fs;
use std::path::Path;

use clap::CommandFactory as _;

use super::*;

/// The command that a line names, which has words between spaces, and texts in double quotes.
#[track_caller]
pub(in crate::cli) fn parse(line: &str) -> Command {
    Command::parse(&words(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Why a line names no command.
#[track_caller]
pub(in crate::cli) fn refused(line: &str) -> ErrorKind {
    let error = Command::parse(&words(line)).err();
    error.unwrap_or_else(|| panic!("it is accepted: {line}")).kind()
}

fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Every command that does something, with the words that name it.
fn commands() -> Vec<(String, clap::Command)> {
    fn below(path: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        found.push((path.to_owned(), command.clone()));
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            below(&format!("{path} {}", inner.get_name()), inner, found);
        }
    }
    let mut found = Vec::new();
    below("mcp-scheduler", &CommandLine::command(), &mut found);
    found
}

/// The arguments of a command line in a text: without the program, and without what a shell does with its output.
fn arguments_of(line: &str) -> Option<&str> {
    let (_, arguments) = line.split_once("mcp-scheduler")?;
    Some(arguments.split(" 2>").next()?.split([')', '>', '|', '#']).next()?.trim())
}

#[test]
fn the_commands_contradict_nothing() {
    CommandLine::command().debug_assert();
}

#[test]
fn without_a_command_it_serves() {
    assert!(matches!(parse(""), Command::Serve) && matches!(parse("serve"), Command::Serve));
}

#[test]
fn every_command_and_every_option_has_help_and_the_examples_are_right() {
    for (path, command) in commands() {
        assert!(command.get_about().is_some(), "{path} does not say what it does");
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let mut examples = help.lines().filter(|line| line.contains("mcp-scheduler")).peekable();
        assert!(examples.peek().is_some_and(|example| example.contains(&path)), "{path} has no example");
        for example in examples {
            parse(arguments_of(example).unwrap());
        }
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} does not say what {} is", argument.get_id());
        }
    }
}

#[test]
fn every_command_line_in_the_documentation_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> = pages.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    let mut found = 0;
    for page in pages.into_iter().chain([root.join("README.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        let blocks = pasted_commands(&text).map(|line| (line, true));
        // In the text, the bare name of a command stands for all its uses.
        let in_text = text.split('`').skip(1).step_by(2).filter(|span| span.starts_with("mcp-scheduler "));
        let is_runbook = page.ends_with("runbook.md");
        for (line, is_whole) in blocks.chain(in_text.map(|span| (span, is_runbook))) {
            found += 1;
            let error = Command::parse(&words(arguments_of(line).unwrap())).err().map(|error| error.kind());
            let is_name = !is_whole && error.is_some_and(is_incomplete);
            let is_right = matches!(error, None | Some(ErrorKind::DisplayHelp | ErrorKind::DisplayVersion));
            assert!(is_right || is_name, "{}: {line}: {error:?}", page.display());
        }
    }
    assert!(found > 50, "{found}");
}

/// The lines of the shell blocks of a page that start this program.
fn pasted_commands(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("```bash\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::trim_start).filter(|line| line.starts_with("mcp-scheduler "))
}

fn is_incomplete(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
}

#[test]
fn a_secret_among_wrong_arguments_is_not_printed() {
    let arguments = words("listen whsec_canary --key=msk_canary_1 --twice");
    let error = Command::parse(&arguments).unwrap_err().to_string();
    assert!(error.contains("canary"));
    let printed = without_secrets(&error, &arguments);
    assert!(printed.contains("whsec_…") && !printed.contains("canary"), "{printed}");
}
