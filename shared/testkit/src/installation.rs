//! One isolated Waybill.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{self, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use toml::{Table, Value};
use waybill_contracts::Timestamp;

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

/// What an installation is to be like.
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a builder")]
#[derive(Debug)]
pub struct Builder {
    stack: Stack,
    /// How the services reach the stack, where that differs: through proxies.
    via: Stack,
    namespace: String,
    addresses: Option<Addresses>,
    targets: Vec<Target>,
    routes: Option<String>,
    settings: Vec<(Unit, String, Value)>,
    folder: Option<PathBuf>,
    keep: bool,
    with_topics: bool,
    as_it_stands: bool,
    shielded: bool,
}

impl Builder {
    /// The services reach the stack at these addresses; preparing and asking goes the direct way.
    #[must_use]
    pub fn via(mut self, stack: Stack) -> Self {
        self.via = stack;
        self
    }

    /// The namespace; without one `t-<hex>`.
    #[must_use]
    pub fn namespace(mut self, name: &str) -> Self {
        name.clone_into(&mut self.namespace);
        self
    }

    /// The documented ports instead of free ones.
    #[must_use]
    pub fn default_ports(mut self) -> Self {
        self.addresses = Some(Addresses::default_ports());
        self
    }

    /// A target of results.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// A whole routing table instead of one made of the targets. The targets are still needed for their topics.
    #[must_use]
    pub fn routes(mut self, table: &str) -> Self {
        self.routes = Some(table.to_owned());
        self
    }

    /// A setting of a service: `("kafka.session_timeout", "6s")`, `("feed.0.ack_timeout", "1s")`.
    #[must_use]
    pub fn set(mut self, unit: Unit, key: &str, value: impl Into<Value>) -> Self {
        self.settings.push((unit, key.to_owned(), value.into()));
        self
    }

    /// The same setting for every service.
    #[must_use]
    pub fn set_all(self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        Unit::ALL.into_iter().fold(self, |builder, unit| builder.set(unit, key, value.clone()))
    }

    /// The stack as it stands instead of an isolated part of it: no namespace, the database of the stack's URL, the
    /// documented ports; nothing is removed afterwards.
    #[must_use]
    pub fn as_it_stands(mut self) -> Self {
        self.as_it_stands = true;
        self.keep = true;
        self.namespace("").default_ports()
    }

    /// Ctrl-C at the terminal does not reach the services: whoever started them stops them, in order and once.
    #[must_use]
    pub fn shielded(mut self) -> Self {
        self.shielded = true;
        self
    }

    /// Configuration and logs go here instead of a temporary folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Topics, database and files stay when it is dropped. `WAYBILL_TEST_KEEP=1` does the same for all tests.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// No topics and no schemas: the test makes them, or their absence is the test.
    #[must_use]
    pub fn without_topics(mut self) -> Self {
        self.with_topics = false;
        self
    }

    /// Makes database, topics, schemas and configuration files; starts nothing.
    pub async fn prepare(self) -> anyhow::Result<Installation> {
        let keep = self.keep || std::env::var("WAYBILL_TEST_KEEP").is_ok_and(|value| value == "1");
        let (folder, temporary) = if let Some(folder) = self.folder {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            (folder, None)
        } else {
            let mut temporary = tempfile::Builder::new().prefix("waybill-").tempdir()?;
            temporary.disable_cleanup(keep);
            (temporary.path().to_owned(), Some(temporary))
        };
        let mut via = self.via;
        let database = self.namespace.replace('-', "_");
        if !self.as_it_stands {
            database::create(&self.stack.postgres, &database).await?;
            via.postgres = database::url(&via.postgres, &database)?;
        }
        let addresses = match self.addresses {
            Some(addresses) => addresses,
            None => Addresses::free()?,
        };
        let table = match self.routes {
            Some(table) => table,
            None => settings::routes(&self.targets)?,
        };
        let routes = folder.join("routes.toml");
        fs::write(&routes, table)?;
        let mut configs = BTreeMap::new();
        for unit in Unit::ALL {
            let routes = routes.display().to_string();
            let mut config = settings::base(unit, &via, &self.namespace, &addresses, &routes);
            for (_, key, value) in self.settings.iter().filter(|(of, ..)| *of == unit) {
                settings::put(&mut config, key, value.clone());
            }
            configs.insert(unit, config);
        }
        let installation = Installation {
            topics: Topics::new(&self.stack, &self.namespace)?,
            stack: self.stack,
            namespace: self.namespace,
            database,
            database_url: via.postgres,
            addresses,
            targets: self.targets,
            configs,
            units: BTreeMap::new(),
            folder,
            temporary,
            keep,
            shielded: self.shielded,
        };
        if self.with_topics {
            installation.apply_topics()?;
            installation.register_schemas()?;
        }
        Ok(installation)
    }

    /// The same, and all services started and ready.
    pub async fn start(self) -> anyhow::Result<Installation> {
        let mut installation = self.prepare().await?;
        installation.start_all()?;
        installation.wait_ready(READY).await?;
        Ok(installation)
    }
}

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
        Builder {
            stack: stack.clone(),
            via: stack.clone(),
            namespace: fresh_namespace(),
            addresses: None,
            targets: Vec::new(),
            routes: None,
            settings: Vec::new(),
            folder: None,
            keep: false,
            with_topics: true,
            as_it_stands: false,
            shielded: false,
        }
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

    /// Address of a feed's MLLP listener: `ehr` or `lis`.
    pub fn mllp(&self, feed: &str) -> anyhow::Result<SocketAddr> {
        let found = self.addresses.feeds.iter().find(|(name, _)| name == feed);
        found.map(|(_, address)| *address).with_context(|| format!("there is no feed {feed:?}"))
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

/// `t-<hex>`, different in every process and at every call.
fn fresh_namespace() -> String {
    static CALL: AtomicU32 = AtomicU32::new(0);
    let call = CALL.fetch_add(1, Ordering::Relaxed);
    format!("t-{:x}-{:x}-{call:x}", Timestamp::now().as_millis() & 0xffff_ffff, process::id())
}
