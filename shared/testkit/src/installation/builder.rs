//! What an installation is to be like.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Context as _;
use toml::Value;
use waybill_contracts::Timestamp;

use super::{Installation, READY};
use crate::{
    Stack, Target, Topics, Unit, database,
    settings::{self, Addresses},
};

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
    pub(super) fn new(stack: &Stack) -> Self {
        Self {
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

/// `t-<hex>`, different in every process and at every call.
fn fresh_namespace() -> String {
    static CALL: AtomicU32 = AtomicU32::new(0);
    let call = CALL.fetch_add(1, Ordering::Relaxed);
    format!("t-{:x}-{:x}-{call:x}", Timestamp::now().as_millis() & 0xffff_ffff, process::id())
}
