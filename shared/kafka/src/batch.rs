//! The batch loop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{BatchHandler, BatchOptions, KafkaConfig, KafkaError, Probe};

/// Runs the batch loop until `shutdown`.
pub async fn run_batch<H: BatchHandler>(
    config: &KafkaConfig,
    options: BatchOptions,
    handler: H,
    probe: Arc<dyn Probe>,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let _ = (config, options, handler, probe);
    shutdown.cancelled().await;
    Ok(())
}
