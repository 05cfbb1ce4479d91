//! `topics`: the catalogue against the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    time::Duration,
};

use waybill_contracts::{
    Namespace, TopicName,
    topics::{Cleanup, Topic, catalogue},
};
use waybill_kafka::{Cluster, KafkaError, TopicPlan, TopicState};

use crate::{
    cli::{ListArgs, TopicArgs},
    failure::{Exit, Failure},
    settings::{self, Settings},
    table,
};

/// Largest record (architecture §3); a dead letter is its record with more headers.
const MAX_RECORD: u64 = 16 << 20;
const MAX_DEAD_LETTER: u64 = 17 << 20;
/// Dead letters wait for people: 90 days outlive holidays and a slow vendor.
const DEAD_LETTER_HOURS: u64 = 90 * 24;

/// What is to be there for a namespace and targets.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) spec: TopicPlan,
    pub(crate) readers: Vec<String>,
}

/// Everything the catalogue demands.
pub(crate) fn wanted(namespace: &Namespace, targets: &[String]) -> Vec<Wanted> {
    let mut all = Vec::new();
    for (topic, target) in entries(targets) {
        let fill =
            |text: &str| target.map_or_else(|| text.to_owned(), |target| text.replace("{target}", target));
        let name = namespace.topic(&fill(&topic.name));
        let readers: Vec<_> = topic.consumers.iter().map(|consumer| fill(&consumer.group)).collect();
        for consumer in topic.consumers.iter().filter(|consumer| consumer.dead_letters) {
            let config = BTreeMap::from([
                ("cleanup.policy", "delete".to_owned()),
                ("max.message.bytes", MAX_DEAD_LETTER.to_string()),
                ("retention.ms", hours(DEAD_LETTER_HOURS.max(topic.retention_hours))),
            ]);
            // A dead letter keeps its partition, so that those of one key keep their order.
            let spec = TopicPlan {
                name: name.dead_letter(&fill(&consumer.group)),
                partitions: topic.partitions,
                replication: None,
                config,
            };
            all.push(Wanted { spec, readers: vec!["replay".to_owned()] });
        }
        let mut config = BTreeMap::from([("max.message.bytes", MAX_RECORD.to_string())]);
        match topic.cleanup {
            Cleanup::Delete => {
                config.insert("cleanup.policy", "delete".to_owned());
                config.insert("retention.ms", hours(topic.retention_hours));
            }
            Cleanup::Compact => {
                config.insert("cleanup.policy", "compact".to_owned());
            }
        }
        all.push(Wanted {
            spec: TopicPlan { name, partitions: topic.partitions, replication: None, config },
            readers,
        });
    }
    all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    all
}

/// Entries of the catalogue, those with `{target}` once per target.
pub(crate) fn entries(targets: &[String]) -> impl Iterator<Item = (&'static Topic, Option<&str>)> {
    catalogue().iter().flat_map(|topic| {
        let per_target = topic.name.contains("{target}");
        let repeated =
            targets.iter().filter(move |_| per_target).map(move |target| (topic, Some(target.as_str())));
        (!per_target).then_some((topic, None)).into_iter().chain(repeated)
    })
}

fn hours(hours: u64) -> String {
    (hours * 3_600_000).to_string()
}

/// A difference between a topic and the catalogue.
#[derive(Debug, PartialEq, Eq)]
struct Drift {
    what: String,
    repair: Option<(&'static str, String)>,
}

fn drifts(spec: &TopicPlan, state: &TopicState) -> Vec<Drift> {
    let mut found = Vec::new();
    if state.partitions != spec.partitions {
        let what = format!(
            "has {} partitions, not {}; the order per key forbids a change",
            state.partitions, spec.partitions
        );
        found.push(Drift { what, repair: None });
    }
    if spec.replication.is_some_and(|wanted| wanted != state.replication) {
        let what = format!(
            "has {} replicas, not {}; reassign them with Kafka's own tool",
            state.replication,
            spec.replication.unwrap_or(0)
        );
        found.push(Drift { what, repair: None });
    }
    for (&key, value) in &spec.config {
        let actual = state.config.get(key).map_or("nothing", String::as_str);
        if actual != value {
            found.push(Drift {
                what: format!("{key} is {actual}, not {value}"),
                repair: Some((key, value.clone())),
            });
        }
    }
    found
}

struct Run {
    settings: Settings,
    cluster: Cluster,
    wanted: Vec<Wanted>,
}

impl Run {
    fn new(arguments: &TopicArgs) -> Result<Self, Failure> {
        let settings = Settings::new(&arguments.cluster, None)?;
        let targets = settings::targets(&arguments.targets)?;
        let mut wanted = wanted(&settings.namespace()?, &targets);
        for Wanted { spec, .. } in &mut wanted {
            spec.replication = arguments.replication_factor;
            spec.partitions = arguments.partitions_override.unwrap_or(spec.partitions);
        }
        let cluster = Cluster::new(&settings.kafka).map_err(|error| Failure::kafka("", &error))?;
        Ok(Self { settings, cluster, wanted })
    }

    fn failure(&self) -> impl Fn(KafkaError) -> Failure {
        |error| Failure::kafka(&self.settings.kafka.bootstrap_servers, &error)
    }

    async fn states(&self) -> Result<BTreeMap<TopicName, TopicState>, Failure> {
        let names: Vec<_> = self.wanted.iter().map(|wanted| wanted.spec.name.clone()).collect();
        self.cluster.describe(&names).await.map_err(self.failure())
    }

    /// The cluster answers a creation before every broker has heard of it.
    async fn await_created(&self, created: &BTreeSet<&TopicName>) -> Result<(), Failure> {
        let visible = async {
            loop {
                let topics = self.cluster.topics().await.map_err(self.failure())?;
                if created
                    .iter()
                    .all(|name| topics.get(name.as_str()).is_some_and(|topic| topic.partitions > 0))
                {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(15), visible).await {
            Ok(result) => result,
            Err(_) => {
                Err(Failure::Unavailable("the cluster does not show the topics it has created".to_owned()))
            }
        }
    }
}

/// Makes the cluster match.
pub(crate) async fn apply(arguments: &TopicArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let run = Run::new(arguments)?;
    let states = run.states().await?;
    let mut created = BTreeSet::new();
    let (mut unchanged, mut repaired, mut left) = (0, 0, 0);
    for Wanted { spec, .. } in &run.wanted {
        let Some(state) = states.get(&spec.name) else {
            if run.cluster.create(spec).await.map_err(run.failure())? {
                writeln!(out, "created   {}  {} partitions", spec.name, spec.partitions)?;
            }
            created.insert(&spec.name);
            continue;
        };
        let drifts = drifts(spec, state);
        let repairs: BTreeMap<_, _> = drifts.iter().filter_map(|drift| drift.repair.clone()).collect();
        if !repairs.is_empty() {
            run.cluster.configure(&spec.name, state, &repairs).await.map_err(run.failure())?;
        }
        for drift in &drifts {
            let word = if drift.repair.is_some() { "repaired" } else { "DIFFERS" };
            writeln!(out, "{word:9} {}  {}", spec.name, drift.what)?;
        }
        let stuck = drifts.iter().any(|drift| drift.repair.is_none());
        left += usize::from(stuck);
        repaired += usize::from(!stuck && !drifts.is_empty());
        unchanged += usize::from(drifts.is_empty());
    }
    run.await_created(&created).await?;
    hint_targets(arguments, out)?;
    writeln!(
        out,
        "{} topics: {} created, {repaired} repaired, {unchanged} unchanged, {left} differ",
        run.wanted.len(),
        created.len()
    )?;
    Ok(if left == 0 { Exit::Ok } else { Exit::Differs })
}

/// Compares only.
pub(crate) async fn check(arguments: &TopicArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let run = Run::new(arguments)?;
    let states = run.states().await?;
    let (mut missing, mut differ) = (0, 0);
    for Wanted { spec, .. } in &run.wanted {
        let Some(state) = states.get(&spec.name) else {
            writeln!(out, "MISSING   {}", spec.name)?;
            missing += 1;
            continue;
        };
        let drifts = drifts(spec, state);
        for drift in &drifts {
            writeln!(out, "DIFFERS   {}  {}", spec.name, drift.what)?;
        }
        differ += usize::from(!drifts.is_empty());
    }
    hint_targets(arguments, out)?;
    let fine = run.wanted.len() - missing - differ;
    writeln!(
        out,
        "{} topics: {fine} as they should be, {missing} missing, {differ} differ",
        run.wanted.len()
    )?;
    Ok(if missing + differ == 0 { Exit::Ok } else { Exit::Differs })
}

/// Prints the catalogue.
pub(crate) fn list(arguments: &ListArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let namespace = settings::namespace(arguments.namespace.as_deref().unwrap_or_default())?;
    let targets = settings::targets(&arguments.targets)?;
    let mut rows =
        vec![["topic", "partitions", "cleanup", "retention", "read by"].map(str::to_owned).to_vec()];
    for Wanted { spec, readers } in wanted(&namespace, &targets) {
        let days = spec
            .config
            .get("retention.ms")
            .and_then(|ms| Some(format!("{} d", ms.parse::<u64>().ok()? / 86_400_000)));
        rows.push(vec![
            spec.name.to_string(),
            spec.partitions.to_string(),
            spec.config["cleanup.policy"].clone(),
            days.unwrap_or_default(),
            readers.join(", "),
        ]);
    }
    table::write(out, 0, &rows)?;
    Ok(Exit::Ok)
}

fn hint_targets(arguments: &TopicArgs, out: &mut impl Write) -> Result<(), Failure> {
    if arguments.targets.targets.is_empty() && arguments.targets.routes.is_none() {
        writeln!(out, "no targets named (--target, --routes): topics of targets are left out")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(spec: &TopicPlan) -> TopicState {
        TopicState {
            partitions: spec.partitions,
            replication: 1,
            config: spec.config.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            overrides: BTreeSet::new(),
        }
    }

    #[test]
    fn the_catalogue_with_two_targets_names_all_topics_and_their_dead_letters() {
        let namespace = Namespace::new("t1").unwrap();
        let all = wanted(&namespace, &["ehr".to_owned(), "his".to_owned()]);
        let names: BTreeSet<_> = all.iter().map(|wanted| wanted.spec.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        for name in [
            "t1.inbound.message.v1",
            "t1.inbound.message.v1.dlq.ehr-ingest.normalize",
            "t1.lab.delivery.ehr.v1",
            "t1.lab.delivery.his.v1.dlq.lab-distributor.his",
            "t1.delivery.receipt.v1.dlq.confirmation-tracker",
        ] {
            assert!(names.contains(name), "{name} in {names:?}");
        }
        assert!(names.iter().all(|name| !name.contains('{')));
        let of_targets = names.iter().filter(|name| name.contains("lab.delivery")).count();
        assert_eq!(wanted(&namespace, &[]).len(), all.len() - of_targets);
    }

    #[test]
    fn settings_can_be_repaired_and_partitions_cannot() {
        let spec = wanted(&Namespace::default(), &[]).swap_remove(0).spec;
        assert_eq!(drifts(&spec, &state_of(&spec)), []);
        let mut state = state_of(&spec);
        state.partitions += 1;
        state.config.insert("retention.ms".to_owned(), "1".to_owned());
        let found = drifts(&spec, &state);
        assert_eq!(found.iter().map(|drift| drift.repair.is_some()).collect::<Vec<_>>(), [false, true]);
    }
}
