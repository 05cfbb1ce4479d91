//! Against the running stack: a real broker and a real registry. Each test has a namespace of its own and cleans it up.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::process::{Command, Output};

use waybill_contracts::{Namespace, Record as _, TopicName, lab::LabResult};
use waybill_kafka::{Cluster, KafkaConfig, Registry, RegistryConfig};
use waybill_testkit::Stack;

struct Place {
    namespace: Namespace,
    kafka: KafkaConfig,
    registry: RegistryConfig,
}

impl Place {
    fn new(stack: &Stack, test: &str) -> Self {
        let kafka = KafkaConfig { bootstrap_servers: stack.kafka.clone(), ..KafkaConfig::default() };
        let registry = RegistryConfig { url: stack.registry.clone(), ..RegistryConfig::default() };
        Self {
            namespace: Namespace::new(&format!("ctl-{test}-{}", std::process::id())).unwrap(),
            kafka,
            registry,
        }
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybillctl"));
        command.args(arguments).env("WAYBILL_KAFKA__NAMESPACE", self.namespace.as_str());
        command.env("WAYBILL_KAFKA__BOOTSTRAP_SERVERS", &self.kafka.bootstrap_servers);
        command.env("WAYBILL_REGISTRY__URL", &self.registry.url);
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    }

    async fn topics(&self, cluster: &Cluster) -> Vec<TopicName> {
        let all = cluster.topics().await.unwrap();
        all.keys()
            .filter_map(|name| self.namespace.strip(name))
            .map(|name| self.namespace.topic(name))
            .collect()
    }
}

#[tokio::test]
async fn topics_are_applied_once_and_drift_is_repaired_or_reported() {
    let Some(stack) = Stack::require().await else { return };
    let place = Place::new(&stack, "topics");
    let cluster = Cluster::new(&place.kafka).unwrap();
    let arguments = |verb: &'static str| ["topics", verb, "--target", "ward-ehr", "--target", "his"];

    let (code, text) = place.run(&arguments("check"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("MISSING"), "{text}");

    let (code, text) = place.run(&arguments("apply"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("created   ") && !text.contains(" 0 created"), "{text}");
    let (code, text) = place.run(&arguments("apply"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(" 0 created, 0 repaired"), "{text}");
    let (code, text) = place.run(&arguments("check"));
    assert_eq!(code, Some(0), "{text}");

    // Somebody changes a setting: found, and set back; what else was set stays.
    let name = place.namespace.topic("lab.result.v1");
    let state = cluster.describe(std::slice::from_ref(&name)).await.unwrap().remove(&name).unwrap();
    let changes = [("retention.ms", "1000".to_owned()), ("segment.ms", "600000".to_owned())].into();
    cluster.configure(&name, &state, &changes).await.unwrap();
    let (code, text) = place.run(&arguments("check"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("retention.ms is 1000, not 1209600000"), "{text}");
    let (code, text) = place.run(&arguments("apply"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("repaired  ") && text.contains(" 1 repaired"), "{text}");
    let state = cluster.describe(std::slice::from_ref(&name)).await.unwrap().remove(&name).unwrap();
    assert_eq!(
        (state.config["retention.ms"].as_str(), state.config["segment.ms"].as_str()),
        ("1209600000", "600000")
    );

    // Another partition count cannot be repaired.
    let (code, text) = place.run(&["topics", "apply", "--partitions-override", "5"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("DIFFERS") && text.contains("partitions, not 5"), "{text}");

    let topics = place.topics(&cluster).await;
    assert_eq!(topics.len(), 20, "{topics:?}");
    cluster.delete(&topics).await.unwrap();
}

#[tokio::test]
async fn schemas_are_registered_once_and_an_incompatible_one_is_refused() {
    let Some(stack) = Stack::require().await else { return };
    let place = Place::new(&stack, "schemas");
    let registry = Registry::new(&place.registry).unwrap();
    let arguments = ["schemas", "register", "--target", "ward-ehr"];
    let (code, text) = place.run(&arguments);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("13 subjects: 13 registered"), "{text}");
    let (code, text) = place.run(&arguments);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("13 subjects: 0 registered, 13 unchanged, 0 refused"), "{text}");

    let name = place.namespace.topic("lab.result.v1");
    assert_eq!(registry.compatibility(&name).await.unwrap().as_deref(), Some("FULL_TRANSITIVE"));
    registry.id_of::<LabResult>(&name).await.unwrap();

    // A field without a default more: the registry itself says no.
    let other = LabResult::SCHEMA.replacen(
        "\"fields\": [",
        "\"fields\": [{\"name\":\"must\",\"type\":\"string\"},",
        1,
    );
    registry.check_compatible(&name, &other).await.unwrap_err();
    registry.register(&name, &other).await.unwrap_err();

    // And where such a one stands, ours is refused, by name.
    let taken = Place::new(&stack, "taken");
    registry.register(&taken.namespace.topic("lab.result.v1"), &other).await.unwrap();
    let (code, text) = taken.run(&arguments);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("REFUSED    {}.lab.result.v1-value", taken.namespace.as_str())), "{text}");
    assert!(text.contains("12 registered, 0 unchanged, 1 refused"), "{text}");

    for place in [place, taken] {
        registry.delete_subjects(&format!("{}.", place.namespace.as_str())).await.unwrap();
    }
}
