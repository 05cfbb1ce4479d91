//! Arguments. Doc comments here are help texts.

#![expect(clippy::doc_markdown, reason = "backticks and angle brackets would show in the help")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{map::MapArgs, send::SendArgs};

/// Waybill's tool for operators.
#[derive(Debug, Parser)]
#[command(
    name = "waybillctl",
    version,
    about = "Topics, schemas and messages of a Waybill installation",
    after_help = "Exit codes: 0 as it should be, 1 something differs or was refused, 3 message open, 4 message needs somebody,\n\
                  5 no such message, 64 used wrongly, 69 something does not answer."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Topics: the catalogue and the cluster
    Topics {
        #[command(subcommand)]
        command: TopicsCommand,
    },
    /// Schemas: the files, their history and the registry
    Schemas {
        #[command(subcommand)]
        command: SchemasCommand,
    },
    /// Bearer tokens of HTTP feeds
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// What becomes of messages in files: their events, and what is mapped of each field
    Map(MapArgs),
    /// Send messages from files by MLLP or HTTP
    Send(SendArgs),
    /// Where a message is: its waybill, line by line
    #[command(
        after_help = "Exit codes: 0 delivered, resolved or without a destination, 3 open, 4 exception, overdue or \
                            refused, 5 not found, 69 the tracker does not answer."
    )]
    Where(WhereArgs),
    /// The balance sheet: what was expected, and what became of it
    #[command(after_help = "Exit codes: 0 balanced, 1 not balanced, 69 the tracker does not answer.")]
    Balance(TrackerArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Create what is missing, repair settings, report what cannot be repaired
    Apply(TopicArgs),
    /// Compare only; exit code 1 when something is missing or differs
    Check(TopicArgs),
    /// Print what the catalogue demands, without asking a cluster
    List(ListArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token: prints it once, with the hash that belongs into the feed's configuration
    New(TokenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Whose it is
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemasCommand {
    /// Compare every schema with all its versions in git and lint it; asks no registry
    Check(CheckArgs),
    /// Register the compiled-in schemas of all topics, compatibility FULL_TRANSITIVE
    Register(RegisterArgs),
}

/// Which cluster.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// File with the sections [kafka] and [registry], for TLS and passwords
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Brokers, host:port separated by commas [default: 127.0.0.1:9092]
    #[arg(long, value_name = "SERVERS", env = "WAYBILL_KAFKA__BOOTSTRAP_SERVERS", hide_env_values = true)]
    pub(crate) bootstrap_servers: Option<String>,
    /// Prefix of every topic [default: none]
    #[arg(long, value_name = "NAME", env = "WAYBILL_KAFKA__NAMESPACE", hide_env_values = true)]
    pub(crate) namespace: Option<String>,
}

/// Which targets.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Target of laboratory results; repeatable
    #[arg(long = "target", value_name = "NAME")]
    pub(crate) targets: Vec<String>,
    /// Routing table whose [[target]] names count as well
    #[arg(long, value_name = "FILE")]
    pub(crate) routes: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TopicArgs {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) targets: TargetArgs,
    /// Copies of each partition [default: the broker's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=32))]
    pub(crate) replication_factor: Option<i32>,
    /// Partitions of every topic instead of the catalogue's; for tests and larger installations
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) partitions_override: Option<i32>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Prefix of every topic [default: none]
    #[arg(long, value_name = "NAME", env = "WAYBILL_KAFKA__NAMESPACE", hide_env_values = true)]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) targets: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Folder of the schemas
    #[arg(long, value_name = "FOLDER", default_value = "schemas")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Registry with the Confluent API [default: http://127.0.0.1:8081/apis/ccompat/v7]
    #[arg(long, value_name = "URL", env = "WAYBILL_REGISTRY__URL", hide_env_values = true)]
    pub(crate) registry_url: Option<String>,
    #[command(flatten)]
    pub(crate) targets: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrackerArgs {
    /// The tracker's API
    #[arg(
        long,
        value_name = "URL",
        env = "WAYBILL_TRACKER_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8090"
    )]
    pub(crate) tracker_url: String,
    /// Print the tracker's answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhereArgs {
    /// Message id, trace id, or the sender's control id (MSH-10)
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) tracker: TrackerArgs,
}
