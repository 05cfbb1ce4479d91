//! The route role: one result in, one delivery per target and the routed manifest out.

use waybill_contracts::{
    EventId, Namespace, Timestamp, TopicName,
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
    let routes = table.routes(result);
    let source = &result.source;
    let deliveries = routes
        .iter()
        .map(|route| LabDelivery {
            message_id: source.message_id,
            event_id,
            feed: source.feed.clone(),
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
        feed: source.feed.clone(),
        message_type: source.message_type.clone(),
        control_id: source.control_id.clone(),
        received_at: Some(source.received_at),
        events: Vec::new(),
        event_id: Some(event_id),
        consumer: Some(GROUP.to_owned()),
        reason_code: routes.is_empty().then(|| reason::NO_ROUTE.into()),
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
