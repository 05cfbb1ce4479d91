//! The keyed loop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{KafkaConfig, KafkaError, KeyedHandler, KeyedOptions, Probe, Producer};

/// Runs the keyed loop until `shutdown`.
pub async fn run_keyed<H: KeyedHandler>(
    config: &KafkaConfig,
    options: KeyedOptions,
    handler: Arc<H>,
    producer: Producer,
    probe: Arc<dyn Probe>,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let _ = (config, options, handler, producer, probe);
    shutdown.cancelled().await;
    Ok(())
}
