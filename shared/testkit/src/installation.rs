//! One isolated Waybill.

mod builder;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use toml::{Table, Value};

pub use self::builder::Builder;
pub use crate::settings::Target;
use crate::{
    Exit, Jaeger, Process, Stack, Topics, Tracker, Unit, binaries, database, ports,
    process::{Launch, isolate},
    settings::{self, Addresses},
};

/// A service that starts on a busy machine, with schemas and topics there, is ready well within this.
const READY: Duration = Duration::from_mins(1);
/// Above the services' own drain deadline.
const STOP: Duration = Duration::from_secs(40);

/// One Waybill in a namespace and a database of its own. Dropping it kills its services and removes what it made.
#[derive(Debug)]
pub struct Installation {
    stack: Stack,
    namespace: String,
    database: String,
    database_url: String,
    addresses: Addresses,
    targets: Vec<Target>,
    configs: BTreeMap<Unit, Table>,
    units: BTreeMap<Unit, Process>,
    topics: Topics,
    folder: PathBuf,
    temporary: Option<TempDir>,
    keep: bool,
    shielded: bool,
}

impl Installation {
    /// A new one on this stack.
    pub fn on(stack: &Stack) -> Builder {
        Builder::new(stack)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Where its configuration and logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// URL of its database.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Address of a feed's listener: `ehr` or `lis` over MLLP.
    pub fn mllp(&self, feed: &str) -> anyhow::Result<SocketAddr> {
        let found = self.addresses.feeds.iter().find(|(name, _)| name == feed);
        found.map(|(_, address)| *address).with_context(|| format!("there is no feed {feed:?}"))
    }

    /// Base URL of the feed over HTTP, `fhir`: `/hl7` and `/fhir` are below it. It takes [`TOKEN`](crate::TOKEN).
    pub fn http(&self) -> anyhow::Result<String> {
        Ok(format!("http://{}", self.mllp(settings::HTTP_FEED)?))
    }

    /// The tracker's API.
    pub fn tracker(&self) -> Tracker {
        Tracker::new(&format!("http://{}", self.addresses.api))
    }

    /// Jaeger, where the stack has one.
    pub fn jaeger(&self) -> Option<Jaeger> {
        self.stack.jaeger.as_deref().map(Jaeger::new)
    }

    /// Its topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// `waybillctl topics apply`.
    pub fn apply_topics(&self) -> anyhow::Result<()> {
        self.waybillctl_ok(&["topics", "apply"], &self.target_arguments())
    }

    /// `waybillctl schemas register`.
    pub fn register_schemas(&self) -> anyhow::Result<()> {
        self.waybillctl_ok(&["schemas", "register"], &self.target_arguments())
    }

    fn target_arguments(&self) -> Vec<&str> {
        self.targets.iter().flat_map(|target| ["--target", target.name()]).collect()
    }

    fn waybillctl_ok(&self, command: &[&str], rest: &[&str]) -> anyhow::Result<()> {
        let output = self.waybillctl(&[command, rest].concat())?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "waybillctl {} failed ({}):\n{}",
            command.join(" "),
            output.status,
            String::from_utf8_lossy(&said)
        );
    }

    /// Runs `waybillctl` for this installation, as an operator would.
    pub fn waybillctl(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(binaries::find("waybillctl")?);
        isolate(&mut command);
        command
            .args(arguments)
            .env("WAYBILL_KAFKA__BOOTSTRAP_SERVERS", &self.stack.kafka)
            .env("WAYBILL_KAFKA__NAMESPACE", &self.namespace)
            .env("WAYBILL_REGISTRY__URL", &self.stack.registry)
            .env("WAYBILL_TRACKER_URL", self.tracker().base())
            .stdin(Stdio::null());
        command.output().context("waybillctl does not start")
    }

    /// Changes a setting of a service; it counts from its next [`Installation::start`].
    pub fn set(&mut self, unit: Unit, key: &str, value: impl Into<Value>) {
        if let Some(config) = self.configs.get_mut(&unit) {
            settings::put(config, key, value.into());
        }
    }

    /// Starts a service with its present settings, in place of the process that ran before.
    pub fn start(&mut self, unit: Unit) -> anyhow::Result<()> {
        let launch =
            self.launch(unit, unit.name(), &self.configs[&unit].clone(), self.addresses.admin(unit))?;
        self.units.insert(unit, Process::start(launch)?);
        Ok(())
    }

    /// Starts all services.
    pub fn start_all(&mut self) -> anyhow::Result<()> {
        Unit::ALL.into_iter().try_for_each(|unit| self.start(unit))
    }

    /// Starts one more process of a service, with an admin port and listeners of its own: `name` is for its log. Of
    /// ehr-ingest it gives the listeners by feed.
    pub fn start_replica(
        &self,
        unit: Unit,
        name: &str,
    ) -> anyhow::Result<(Process, Vec<(String, SocketAddr)>)> {
        let mut config = self.configs[&unit].clone();
        let admin = ports::free()?;
        settings::put(&mut config, "admin.listen", admin.to_string().into());
        let mut listeners = Vec::new();
        match unit {
            Unit::EhrIngest => {
                for (at, (feed, _)) in self.addresses.feeds.iter().enumerate() {
                    let listen = ports::free()?;
                    settings::put(&mut config, &format!("feed.{at}.listen"), listen.to_string().into());
                    listeners.push((feed.clone(), listen));
                }
            }
            Unit::ConfirmationTracker => {
                let listen = ports::free()?;
                settings::put(&mut config, "api.listen", listen.to_string().into());
                listeners.push(("api".to_owned(), listen));
            }
            Unit::LabDistributor => {}
        }
        Ok((Process::start(self.launch(unit, name, &config, admin)?)?, listeners))
    }

    fn launch(&self, unit: Unit, name: &str, config: &Table, admin: SocketAddr) -> anyhow::Result<Launch> {
        let file = self.folder.join(format!("{name}.toml"));
        fs::write(&file, toml::to_string(config)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Launch {
            name: name.to_owned(),
            binary: binaries::find(unit.name())?,
            arguments: vec![OsString::from("--config"), file.into()],
            admin,
            log: self.folder.join(format!("{name}.log")),
            shielded: self.shielded,
        })
    }

    /// Waits until all started services are ready.
    pub async fn wait_ready(&mut self, within: Duration) -> anyhow::Result<()> {
        for process in self.units.values_mut() {
            process.wait_ready(within).await?;
        }
        Ok(())
    }

    /// A started service.
    pub fn unit(&mut self, unit: Unit) -> anyhow::Result<&mut Process> {
        self.units.get_mut(&unit).with_context(|| format!("{unit} was not started"))
    }

    /// The started services.
    pub fn units(&self) -> impl Iterator<Item = &Process> {
        self.units.values()
    }

    /// The logs of all services, one after the other.
    pub fn logs(&self) -> String {
        self.units.values().map(Process::log).collect()
    }

    /// The ends of all logs, for an error.
    pub fn tails(&self) -> String {
        self.units.values().map(|process| process.tail() + "\n").collect()
    }

    /// SIGTERM to all, in the order of the flow; each must end with code 0. What was made stays until the drop.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut wrong = Vec::new();
        for (unit, process) in &mut self.units {
            if process.is_running() {
                match process.terminate(STOP).await? {
                    Exit::Code(0) => {}
                    exit => wrong.push(format!("{unit} ended with {exit:?}\n{}", process.tail())),
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
    }

    /// Removes what earlier installations left whose namespaces begin so: topics and databases. Best effort.
    pub async fn remove_leftovers(stack: &Stack, prefix: &str) -> anyhow::Result<()> {
        let databases = database::named(&stack.postgres, &prefix.replace('-', "_")).await?;
        for database in databases {
            Topics::new(stack, &database.replace('_', "-"))?.delete().await?;
            database::drop_it(&stack.postgres, &database).await?;
        }
        Ok(())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.units.clear();
        if self.keep {
            return;
        }
        let (topics, postgres, database) =
            (self.topics.clone(), self.stack.postgres.clone(), self.database.clone());
        // A drop cannot await, and a runtime cannot start inside another: a thread can have its own.
        let cleaning = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    // Best effort: the stack may be what the test took away.
                    let work =
                        async { (topics.delete().await, database::drop_it(&postgres, &database).await) };
                    let _ = tokio::time::timeout(Duration::from_secs(20), work).await;
                });
            }
        });
        let _ = cleaning.join();
        drop(self.temporary.take());
    }
}
