//! Writes what waits in the outbox to `delivery.status.v1`.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use waybill_contracts::{EventHeaders, MessageId, Namespace, Record as _, delivery::Status};
use waybill_kafka::{Encoder, HandlerError, OutRecord, Producer};
use waybill_runtime::Component;
use waybill_store::{Store, StoreError, outbox};

/// Statuses per transaction.
const AT_ONCE: i64 = 500;
/// Statuses that another replica enqueued, or that an earlier failure left, are looked for this often.
const LOOK: Duration = Duration::from_secs(2);

/// What sending needs.
pub(crate) struct Sender {
    pub(crate) store: Store,
    pub(crate) producer: Producer,
    pub(crate) encoder: Encoder<Status>,
    pub(crate) namespace: Namespace,
    pub(crate) outgoing: Arc<Notify>,
    pub(crate) component: Component,
}

impl Sender {
    /// Until shutdown; what is left then waits for the next owner.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut failing = false;
        loop {
            match self.send_some().await {
                Ok(sent) => {
                    if failing {
                        tracing::info!("statuses are sent again");
                        failing = false;
                    }
                    self.component.ready();
                    if sent == AT_ONCE as usize && !shutdown.is_cancelled() {
                        continue;
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(code = %error.reason, detail = error.detail, "statuses wait");
                        failing = true;
                    }
                    self.component.not_ready(error.to_string());
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.outgoing.notified(), if !failing => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn send_some(&self) -> Result<usize, HandlerError> {
        let mut connection = self.store.connection().await?;
        let tx = self.store.bounded(connection.begin()).await?;
        let Some(taken) = self.store.bounded(outbox::take(&tx, AT_ONCE)).await? else { return Ok(0) };
        if taken.is_empty() {
            self.store.bounded(async { Ok(tx.commit().await?) }).await?;
            connection.release();
            return Ok(0);
        }
        let records =
            taken.iter().map(|(_, one)| self.record(one)).collect::<Result<Vec<_>, HandlerError>>()?;
        // Bounded by the producer's delivery timeout.
        self.producer.send(records).await?;
        let ids: Vec<i64> = taken.iter().map(|(id, _)| *id).collect();
        let removed = async {
            outbox::remove(&tx, &ids).await?;
            Ok(tx.commit().await?)
        };
        self.store.bounded(removed).await?;
        connection.release();
        Ok(ids.len())
    }

    fn record(&self, one: &outbox::Outgoing) -> Result<OutRecord, HandlerError> {
        let status: Status = serde_json::from_str(&one.body)
            .map_err(|_| HandlerError::of(&StoreError::Unreadable { what: "outbox.body".to_owned() }))?;
        let value = self.encoder.encode(&status)?;
        let id: MessageId = status.message_id;
        let headers = EventHeaders {
            id: id.to_string(),
            source: "/confirmation-tracker".into(),
            event_type: Status::TOPIC.into(),
            time: status.at,
            correlation_id: id,
            causation_id: None,
            feed: Some(status.feed).filter(|feed| !feed.is_empty()),
            traceparent: one.traceparent.clone(),
        };
        Ok(OutRecord::event(self.namespace.topic(Status::TOPIC), one.key.clone(), headers, value))
    }
}
