//! The command line that every service has.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::ServiceConfig;
use crate::config::{self, ConfigErrors};

/// Bad usage or configuration (`EX_USAGE` of sysexits.h).
pub(crate) const EXIT_USAGE: u8 = 64;

/// Where the variables that override the configuration come from.
const ENVIRONMENT_HELP: &str = "\
Environment variables with a double underscore override the file: WAYBILL_ADMIN__LISTEN sets `listen` in [admin].
Exit codes: 0 stopped gracefully, 1 failed to start, a task died or the drain took too long, 64 bad usage or \
configuration.";

/// What comes after the command line.
pub(crate) enum Next<C> {
    /// Run with this configuration.
    Run(Box<C>),
    /// It is done already.
    Exit(ExitCode),
}

/// Reads the command line and the configuration.
pub(crate) fn configure<C: ServiceConfig>(
    name: &'static str,
    version: &'static str,
    about: &'static str,
) -> Next<C> {
    let arguments = match command(name, version, about).try_get_matches() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are "errors" of clap too, for standard output.
            let _ = error.print();
            return Next::Exit(if error.use_stderr() { EXIT_USAGE.into() } else { ExitCode::SUCCESS });
        }
    };
    let file = arguments.get_one::<PathBuf>("config").map(PathBuf::as_path);
    match config::load::<C>(file, environment()) {
        Err(errors) => {
            complain(name, &errors);
            Next::Exit(EXIT_USAGE.into())
        }
        Ok(_) if arguments.get_flag("check-config") => say(name, "the configuration is valid\n"),
        Ok(config) if arguments.get_flag("print-config") => match toml::to_string(&config) {
            Ok(text) => say(name, &text),
            Err(error) => {
                complain(name, &format_args!("the configuration cannot be printed: {error}"));
                Next::Exit(ExitCode::FAILURE)
            }
        },
        Ok(config) => Next::Run(Box::new(config)),
    }
}

fn command(name: &'static str, version: &'static str, about: &'static str) -> Command {
    let flag = |flag: &'static str, help: &'static str| {
        Arg::new(flag).long(flag).help(help).action(ArgAction::SetTrue)
    };
    Command::new(name)
        .version(version)
        .about(about)
        .after_help(ENVIRONMENT_HELP)
        .arg(
            Arg::new("config")
                .long("config")
                .env("WAYBILL_CONFIG")
                .value_name("FILE")
                .help("Configuration file (TOML); without one the built-in defaults hold")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(flag("check-config", "Check the configuration and print every problem"))
        .arg(
            flag("print-config", "Print the configuration that results, secrets hidden")
                .conflicts_with("check-config"),
        )
}

/// The environment's valid UTF-8; a variable of ours that is not is reported by its name.
fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

fn say<C>(name: &str, text: &str) -> Next<C> {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Next::Exit(ExitCode::SUCCESS),
        Err(error) => {
            complain(name, &error);
            Next::Exit(ExitCode::FAILURE)
        }
    }
}

/// An error before there are logs.
pub(crate) fn complain(name: &str, error: &dyn Display) {
    let _ = writeln!(io::stderr(), "{name}: {error}");
}

impl Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let problems = self.problems();
        let count = problems.len();
        write!(f, "{count} problem{} in the configuration", if count == 1 { "" } else { "s" })?;
        problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
