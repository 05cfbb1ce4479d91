//! What it costs to map a message to its events.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};
use ehr_ingest::{
    accept::{Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping,
};
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::Index;

use crate::{
    message::{Mode, Template},
    report::median,
};

/// Messages between two looks at the clock.
const BLOCK: u32 = 100;

/// µs per admission of 1.5 kB, parsed and mapped on one thread; the median of the rounds.
pub(crate) fn measure(window: Duration, rounds: usize) -> Result<f64> {
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"bench"));
    let template = Template::adt(Mode::Original);
    let bytes = template.message();
    let verdict = accept(&feed, bytes, Timestamp::from_millis(0), &mut Index::new());
    let Verdict::Store { message, .. } = verdict else { bail!("the benchmark's own message is refused") };
    let mut figures = Vec::new();
    for _ in 0..rounds {
        let (begun, mut done) = (Instant::now(), 0_u32);
        while begun.elapsed() < window {
            for _ in 0..BLOCK {
                let mapped = mapping::map(black_box(&message), black_box(bytes), &feed);
                black_box(mapped.map_err(|why| anyhow!("not mapped: {}", why.reason))?);
            }
            done += BLOCK;
        }
        figures.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(done));
    }
    Ok(median(figures))
}
