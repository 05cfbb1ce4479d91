//! The operator's and the analyst's tool: topics and schemas of a deployment, what becomes of a message, and where it is.
//!
//! - `topics apply | check | list`: makes a cluster match `schemas/topics.yaml`, or says where it does not.
//! - `schemas check`: every schema against every version in git, without a registry. `schemas register`: the deployment's
//!   step before the services that write them.
//! - `token new <name>`: a bearer token and its hash, for HTTP feeds.
//! - `map`: what becomes of messages in files by a feed profile, and of each of their fields. `send`: sends them.
//! - `where <id>`: the waybill of a message. `balance`: the balance sheet.
//!
//! Results go to standard output, what went wrong to standard error as one line. Exit codes: [`Exit`].

mod ask;
mod balance;
mod cli;
mod failure;
mod files;
mod map;
mod register;
mod schemas;
mod send;
mod settings;
mod table;
mod token;
mod topics;
mod waybill;

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::Parser as _;

pub use cli::Cli;
pub use failure::{Exit, Failure};

use cli::{Command, SchemasCommand, TokenCommand, TopicsCommand};

/// Runs the tool; `arguments` begin with its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failure; where they cannot be written there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let mut out = std::io::stdout().lock();
    let result = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command(cli.command, &mut out)),
        Err(error) => Err(Failure::Failed(format!("no asynchronous runtime: {error}"))),
    };
    match result.and_then(|exit| out.flush().map(|()| exit).map_err(Failure::from)) {
        Ok(exit) => exit.into(),
        // The reader went away, as `head` does.
        Err(Failure::Output(std::io::ErrorKind::BrokenPipe)) => Exit::Ok.into(),
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "waybillctl: {failure}");
            failure.exit().into()
        }
    }
}

async fn command(command: Command, out: &mut impl Write) -> Result<Exit, Failure> {
    match command {
        Command::Topics { command: TopicsCommand::Apply(arguments) } => topics::apply(&arguments, out).await,
        Command::Topics { command: TopicsCommand::Check(arguments) } => topics::check(&arguments, out).await,
        Command::Topics { command: TopicsCommand::List(arguments) } => topics::list(&arguments, out),
        Command::Schemas { command: SchemasCommand::Check(arguments) } => schemas::check(&arguments, out),
        Command::Schemas { command: SchemasCommand::Register(arguments) } => {
            register::run(&arguments, out).await
        }
        Command::Token { command: TokenCommand::New(arguments) } => token::new(&arguments, out),
        Command::Map(arguments) => map::run(&arguments, out),
        Command::Send(arguments) => send::run(&arguments, out).await,
        Command::Where(arguments) => waybill::run(&arguments, out).await,
        Command::Balance(arguments) => balance::run(&arguments, out).await,
    }
}
