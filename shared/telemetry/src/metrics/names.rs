//! The names.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Distribution; the name ends in its unit.
    Histogram,
}

macro_rules! metrics {
    ($($variant:ident $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// Every metric of the project. To add one, add a line here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Metric {
            $(#[doc = concat!("`", $name, "`: ", $help)] $variant,)*
        }

        impl Metric {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Name as Prometheus shows it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Counter, gauge or histogram.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),* }
            }

            /// Label keys, in the order in which they are given.
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($label),*]),* }
            }

            /// One sentence for operators.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

metrics! {
    // --- receiving
    MessagesReceived Counter "waybill_messages_received_total" ["feed", "ack"] "Messages received, by the acknowledgement they were given.";
    MessageBytes Histogram "waybill_message_bytes" ["feed"] "Size of received messages.";
    AckSeconds Histogram "waybill_ack_seconds" ["feed"] "Time from the last byte of a message to its acknowledgement.";
    FramesMalformed Counter "waybill_frames_malformed_total" ["feed", "reason"] "Frames that could not be read as a message.";
    Duplicates Counter "waybill_duplicates_total" ["feed"] "Received messages that were known already and answered from memory.";
    ControlIdsReused Counter "waybill_control_ids_reused_total" ["feed"] "Messages that came with the control id of another message.";
    Connections Gauge "waybill_connections" ["feed"] "Open connections of senders.";
    ConnectionsRefused Counter "waybill_connections_refused_total" ["feed", "reason"] "Connections that were not taken, or were closed for what their sender did.";
    RequestsRefused Counter "waybill_requests_refused_total" ["feed", "reason"] "HTTP requests answered before their content was looked at.";
    BufferedBytes Gauge "waybill_buffered_bytes" [] "Bytes of messages that have come in and are not answered.";

    // --- Kafka
    ProduceErrors Counter "waybill_produce_errors_total" ["topic", "class"] "Records that the broker did not acknowledge.";
    ProducerQueue Gauge "waybill_producer_queue_records" [] "Records waiting for the broker's acknowledgement.";
    Consumed Counter "waybill_consumed_total" ["topic", "group"] "Records read.";
    Handled Counter "waybill_handled_total" ["group", "outcome"] "Records handled, by outcome.";
    DeadLetters Counter "waybill_dead_letters_total" ["topic", "group", "class", "reason"] "Records written to a dead-letter topic.";
    InFlight Gauge "waybill_in_flight" ["group"] "Records read whose work is not done.";
    OldestInFlightSeconds Gauge "waybill_oldest_in_flight_seconds" ["group"] "Age of the oldest record whose work is not done.";
    Rebalances Counter "waybill_rebalances_total" ["group", "kind"] "Partitions assigned, revoked or lost.";
    CommitErrors Counter "waybill_commit_errors_total" ["group"] "Offset commits that failed.";
    ConsumerLag Gauge "waybill_consumer_lag" ["topic", "partition", "group"] "Records behind the end of the partition.";
    RegistryRequests Counter "waybill_registry_requests_total" ["outcome"] "Requests to the schema registry.";

    // --- delivering
    Deliveries Counter "waybill_deliveries_total" ["target", "outcome"] "Deliveries that ended, by outcome.";
    DeliverySeconds Histogram "waybill_delivery_seconds" ["target"] "Time from sending to the target's answer.";
    DeliveryAttempts Counter "waybill_delivery_attempts_total" ["target"] "Attempts to deliver.";
    Retries Counter "waybill_retries_total" ["target", "class"] "Attempts that will be repeated, by why they failed.";
    BreakerState Gauge "waybill_breaker_state" ["target"] "Circuit breaker: 0 closed, 1 half open, 2 open.";

    // --- accounting
    TrackerMessages Gauge "waybill_tracker_messages" ["state"] "Messages on the books, by state.";
    TrackerSettled Counter "waybill_tracker_settled_total" ["state"] "Messages that reached a final state.";
    TrackerBatchSeconds Histogram "waybill_tracker_batch_seconds" [] "Time to join one batch and to commit it.";
    TrackerWatermarkLagSeconds Gauge "waybill_tracker_watermark_lag_seconds" [] "How far the tracker's watermark is behind the clock.";
    StoreErrors Counter "waybill_store_errors_total" ["class"] "Database operations that failed.";

    // --- the process
    BuildInfo Gauge "waybill_build_info" ["service", "version"] "Always 1; tells which version runs.";
    ComponentReady Gauge "waybill_component_ready" ["component"] "1 while the component is ready, else 0.";
    TraceSpans Counter "waybill_trace_spans_total" ["outcome"] "Spans ended, exported and failed; ended less the others were dropped or wait.";
    LogLines Counter "waybill_log_lines_total" ["kind"] "Log lines by level, warnings and errors only.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Units that may end a gauge's name besides the base units; each says what is counted.
    const COUNTED: [&str; 7] = ["connections", "in_flight", "lag", "state", "messages", "records", "info"];

    #[test]
    fn names_follow_the_prometheus_conventions() {
        for metric in Metric::ALL {
            let name = metric.name();
            assert!(name.starts_with("waybill_"), "{name}: prefix");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}: letters");
            assert!(!name.contains("__"), "{name}: double underscore");
            for wrong in ["millis", "_ms", "minutes", "percent", "kilobytes", "_mb"] {
                assert!(!name.contains(wrong), "{name}: base units only");
            }
            match metric.kind() {
                Kind::Counter => assert!(name.ends_with("_total"), "{name}: counters end in _total"),
                Kind::Histogram => {
                    assert!(name.ends_with("_seconds") || name.ends_with("_bytes"), "{name}: unit");
                }
                Kind::Gauge => {
                    let unit =
                        name.ends_with("_seconds") || name.ends_with("_bytes") || name.ends_with("_ready");
                    assert!(unit || COUNTED.iter().any(|counted| name.ends_with(counted)), "{name}: unit");
                }
            }
            assert!(metric.help().ends_with('.'), "{name}: help is a sentence");
            assert!(!metric.labels().contains(&"le"), "{name}: le belongs to histograms");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
    }
}
