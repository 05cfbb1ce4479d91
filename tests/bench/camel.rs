//! Apache Camel between MLLP and Kafka, in a process of its own (`camel/Gateway.java`).

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use waybill_testkit::{Stack, Topics, eventually, pending};

const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Exit status of the script where Java or Maven is missing (`EX_UNAVAILABLE`).
const MISSING: i32 = 69;

/// What Camel does with a message before it stores it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Raw,
    /// HAPI parses it and gives the record's key.
    Parsed,
}

/// Runs until dropped.
pub(crate) struct Camel {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Fetches what Camel consists of, unless that was done before; the reason where it cannot be had.
pub(crate) fn prepare() -> Result<Result<(), String>> {
    let status = Command::new(script()).arg("prepare").stdin(Stdio::null()).status().context("camel/run")?;
    Ok(match status.code() {
        Some(0) => Ok(()),
        Some(MISSING) => Err("Maven or Java is missing".to_owned()),
        _ => Err(format!("its parts cannot be fetched ({status})")),
    })
}

impl Camel {
    /// Starts it in front of `topic`, and waits until it listens.
    pub(crate) async fn start(stack: &Stack, topics: &Topics, topic: &str, kind: Kind) -> Result<Self> {
        let address = waybill_testkit::ports::free()?;
        let kind = match kind {
            Kind::Raw => "raw",
            Kind::Parsed => "parsed",
        };
        let (port, topic) = (address.port().to_string(), topics.name(topic));
        let arguments = [&port, &stack.kafka, topic.as_str(), kind];
        let child =
            Command::new(script()).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut camel = Self { child, address };
        eventually("Camel listens", STARTS_WITHIN, async || {
            if let Some(status) = camel.ended()? {
                return pending(format!("Camel has ended: {status}"));
            }
            match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                Ok(_) => Ok(()),
                Err(error) => pending(error.to_string()),
            }
        })
        .await?;
        Ok(camel)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Camel {
    fn drop(&mut self) {
        // What it has accepted is stored; nothing is lost that anybody looks at.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/camel/run")
}
