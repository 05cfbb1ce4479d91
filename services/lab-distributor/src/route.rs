//! The route role: one result in, one delivery per target and the routed manifest out.

use waybill_contracts::{
    EventId, Namespace, Timestamp, TopicName,
    body::HL7_V2,
    delivery::{Manifest, ManifestStage, ManifestTarget},
    lab::{LabDelivery, LabResult},
    reason, topics,
};

use crate::routing::RoutingTable;

/// Consumer group of the role, and the destination of its lines.
pub const GROUP: &str = "lab-distributor";

/// What a result becomes.
#[derive(Debug)]
pub struct Routed {
    /// One per target, in the table's order.
    pub deliveries: Vec<LabDelivery>,
    /// Accounts for all of them, and confirms or filters the router's own line.
    pub manifest: Manifest,
}

/// Routes one result. Plain values in, plain values out.
pub fn route(table: &RoutingTable, result: &LabResult, event_id: EventId, now: Timestamp) -> Routed {
    let mut routes = table.routes(result);
    let mut nobody = routes.is_empty().then_some(reason::NO_ROUTE);
    // Every target takes HL7 v2 over MLLP, and a result is delivered as it came.
    let is_hl7 = result.original.content_type == HL7_V2;
    if nobody.is_none() && !is_hl7 {
        routes.clear();
        nobody = Some(reason::FORMAT_NOT_SPOKEN);
    }
    let source = &result.source;
    let deliveries = routes
        .iter()
        .map(|route| LabDelivery {
            message_id: source.message_id,
            event_id,
            feed: source.feed.to_string(),
            target: route.target.name.clone(),
            control_id: event_id.outbound_control_id(&route.target.name),
            source_control_id: source.control_id.clone(),
            routing_version: table.version.clone(),
            rule: route.rule.to_owned(),
            critical: result.critical,
            routed_at: now,
            body: result.original.clone(),
        })
        .collect();
    let targets = routes
        .iter()
        .map(|route| ManifestTarget {
            target: route.target.name.clone(),
            deadline_ms: i64::try_from(route.target.deadline.as_millis()).unwrap_or(i64::MAX),
        })
        .collect();
    let manifest = Manifest {
        message_id: source.message_id,
        stage: ManifestStage::Routed,
        feed: source.feed.to_string(),
        // Of FHIR it is the resource's type, and the message is the whole Bundle.
        message_type: source.message_type.as_deref().filter(|_| is_hl7).map(str::to_owned),
        control_id: source.control_id.as_deref().map(str::to_owned),
        received_at: Some(source.received_at),
        events: Vec::new(),
        event_id: Some(event_id),
        consumer: Some(GROUP.to_owned()),
        reason_code: nobody.map(Into::into),
        targets,
        version: table.version.clone(),
        at: now,
    };
    Routed { deliveries, manifest }
}

/// Topic of a target in a namespace.
pub fn delivery_topic(namespace: &Namespace, target: &str) -> TopicName {
    namespace.topic(&topics::lab_delivery(target))
}

#[cfg(test)]
mod tests {
    use waybill_contracts::{Body, MessageId, Record as _, body::FHIR_JSON};

    use super::*;

    fn routed(content_type: &str, table: &str) -> Manifest {
        let text = include_str!("../../../schemas/examples/lab.result.v1/critical.json");
        let mut result: LabResult = serde_json::from_str(text).unwrap();
        result.original = Body::new(content_type, b"as it came");
        let id = EventId::derive(MessageId::from_bytes([1; 16]), LabResult::TOPIC, 0);
        let routed = route(&RoutingTable::parse(table).unwrap(), &result, id, Timestamp::from_millis(0));
        assert_eq!(routed.deliveries.len(), routed.manifest.targets.len());
        routed.manifest
    }

    #[test]
    fn a_result_goes_only_where_its_format_is_spoken_and_nowhere_without_a_reason() {
        const TARGET: &str = "[[target]]\nname = \"ehr\"\naddress = \"127.0.0.1:1\"\n";
        let all = format!("{TARGET}[[rule]]\nname = \"all\"\ntargets = [\"ehr\"]\n");
        let hl7 = routed(HL7_V2, &all);
        assert_eq!((hl7.targets.len(), hl7.reason_code), (1, None));
        let fhir = routed(FHIR_JSON, &all);
        assert_eq!(
            (fhir.targets.len(), fhir.reason_code.as_deref()),
            (0, Some(reason::FORMAT_NOT_SPOKEN.as_str()))
        );
        for format in [HL7_V2, FHIR_JSON] {
            assert_eq!(routed(format, TARGET).reason_code.as_deref(), Some(reason::NO_ROUTE.as_str()));
        }
    }
}
