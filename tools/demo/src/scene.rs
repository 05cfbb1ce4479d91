//! The run: receivers, services, three senders at once, and trouble on purpose.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use waybill_simulator::{
    receive::{Action, Behaviour, Condition, ReceiveConfig, Received, Receiver, ReceiverHandle, Rule},
    send::{CancellationToken, Progress, SendConfig, SendReport, Sender},
};
use waybill_testkit::{Builder, Installation, Stack, TOKEN, Target, Tracker, Unit, eventually, pending};

use crate::{
    audit::Plan,
    evidence::{Evidence, Sent},
    messages::{FEEDS, FHIR, Letter},
    screen::Screen,
};

/// Gets every result, and is down for a while.
pub const PORTAL: &str = "ehr-portal";
/// Gets what is final or corrected, and refuses one order.
pub const PUBLIC_HEALTH: &str = "public-health";

/// After this share of the messages the portal goes down.
const OUTAGE_AFTER: f64 = 0.3;
/// After the last message: retries of the outage, then the tracker's own pace.
const SETTLING: Duration = Duration::from_mins(2);
/// Time between two looks at the counts.
const LOOK: Duration = Duration::from_millis(200);

/// The two receiving systems.
#[derive(Debug)]
pub struct Receivers {
    portal: ReceiverHandle,
    public_health: ReceiverHandle,
}

impl Receivers {
    /// Starts both; public health refuses the order.
    pub async fn start(refused_order: Option<&str>) -> anyhow::Result<Self> {
        let refusal = |order: &str| {
            Behaviour::accept()
                .rule(Rule::new(Condition::field("OBR", 3, order), Action::Error { code: 204 }))
        };
        let at = |behaviour| ReceiveConfig { behaviour, ..ReceiveConfig::default() };
        let behaviour = refused_order.map_or_else(Behaviour::accept, refusal);
        Ok(Self {
            portal: Receiver::start(at(Behaviour::accept())).await.context("the receiver of the portal")?,
            public_health: Receiver::start(at(behaviour)).await.context("the receiver of public health")?,
        })
    }

    /// Both as targets of an installation that delivers to them.
    pub fn targets(&self, builder: Builder) -> Builder {
        builder
            .target(Target::new(PORTAL, self.portal.addr()))
            .target(
                Target::new(PUBLIC_HEALTH, self.public_health.addr())
                    .when("{ status = [\"final\", \"corrected\"] }"),
            )
            // An outage of seconds should not be followed by half a minute of waiting.
            .set(Unit::LabDistributor, "deliver.backoff_max", "2s")
    }

    /// Everything that arrived, by target.
    pub fn history(&self) -> BTreeMap<String, Vec<Received>> {
        let both = [(PORTAL, &self.portal), (PUBLIC_HEALTH, &self.public_health)];
        both.into_iter().map(|(name, receiver)| (name.to_owned(), receiver.history())).collect()
    }

    /// The portal, to take it down.
    pub fn portal(&self) -> &ReceiverHandle {
        &self.portal
    }
}

/// The order that public health will refuse: of the first released result in the middle of the traffic.
pub fn plan(letters: &[Letter]) -> Plan {
    let released = || letters.iter().filter(|letter| letter.released && letter.filler_order.is_some());
    let middle = released().nth(released().count() / 2);
    Plan {
        portal: PORTAL.to_owned(),
        public_health: PUBLIC_HEALTH.to_owned(),
        refused_order: middle.and_then(|letter| letter.filler_order.clone()),
    }
}

/// How the messages are sent.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Messages per second over all feeds.
    pub rate: f64,
    /// How long the portal is down.
    pub outage: Duration,
}

/// Sends all letters by all feeds at once while the portal is down for a while.
pub async fn play(
    installation: &Installation,
    receivers: &Receivers,
    letters: Vec<Letter>,
    pace: Pace,
    screen: &mut Screen,
) -> anyhow::Result<Vec<Sent>> {
    let total = letters.len();
    let tracker = installation.tracker();
    let mut feeds = Vec::new();
    for feed in FEEDS {
        let share: Vec<_> = letters.iter().filter(|letter| letter.feed == feed).cloned().collect();
        if !share.is_empty() {
            let rate = pace.rate * share.len() as f64 / total as f64;
            feeds.push(Feed::start(feed, installation.mllp(feed)?, share, rate));
        }
    }
    let (mut down, mut was_down, mut outage_end) = (false, false, None);
    loop {
        let counts = Counts::of(&feeds);
        let done = feeds.iter().all(|feed| feed.running.is_finished());
        if !was_down && !pace.outage.is_zero() && (counts.sent as f64 >= total as f64 * OUTAGE_AFTER || done)
        {
            receivers.portal().down().await;
            (down, was_down) = (true, true);
            outage_end = Some(tokio::time::Instant::now() + pace.outage);
            screen.line(&format!("  {PORTAL} goes down for {:?}; the messages keep coming", pace.outage));
        }
        if down && outage_end.is_some_and(|end| tokio::time::Instant::now() >= end) {
            receivers.portal().up().await.context("the portal's receiver does not come up again")?;
            down = false;
            screen.line(&format!("  {PORTAL} is back"));
        }
        screen.progress(&counts.line(&tracker, down).await);
        if done && !down {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut sent = Vec::new();
    for feed in feeds {
        let report = feed.running.await.context("a sender died")?;
        sent.extend(
            report
                .records
                .into_iter()
                .map(|record| Sent { letter: feed.letters[record.index].clone(), record }),
        );
    }
    Ok(sent)
}

/// Waits, with progress, until the tracker knows every answered message and has nothing open; gives the evidence
/// whether or not that came true.
pub async fn settle(
    installation: &Installation,
    receivers: &Receivers,
    sent: Vec<Sent>,
    screen: &mut Screen,
) -> anyhow::Result<Evidence> {
    let answered: std::collections::HashSet<_> = sent
        .iter()
        .filter(|sent| sent.record.ack.is_some())
        .map(|sent| (sent.letter.feed, sent.record.sha256.as_str()))
        .collect();
    let (tracker, wanted) = (installation.tracker(), answered.len() as u64);
    let waiting = eventually("every message is settled", SETTLING, async || {
        let balance = tracker.balance().await?;
        let text = format!("{} of {wanted} messages known, {} open", balance.known(), balance.open());
        screen.progress(&text);
        if balance.known() >= wanted && balance.open() == 0 { Ok(()) } else { pending(text) }
    });
    let waited = waiting.await;
    if let Err(error) = waited {
        screen.line(&format!("  {error:#}"));
    }
    Evidence::gather(installation, sent, receivers.history()).await
}

/// An installation with the two receivers as its targets, all services ready.
pub async fn install(stack: &Stack, receivers: &Receivers, namespace: &str) -> anyhow::Result<Builder> {
    // What earlier runs left to be looked at has had its time.
    if let Err(error) = Installation::remove_leftovers(stack, "demo-").await {
        return Err(error.context("what an earlier demo left cannot be removed"));
    }
    // The hospital writes its local time, with the offset only now and then.
    let local = Installation::on(stack)
        .namespace(namespace)
        .set(Unit::EhrIngest, "feed.0.utc_offset", "-05:00")
        .set(Unit::EhrIngest, "feed.1.utc_offset", "-05:00")
        // Messages of your own may ask for no answer, and then nobody could say what became of them.
        .set(Unit::EhrIngest, "feed.0.ack.mode", "original")
        .set(Unit::EhrIngest, "feed.1.ack.mode", "original");
    Ok(receivers.targets(local))
}

struct Feed {
    letters: Vec<Letter>,
    progress: Arc<Progress>,
    running: tokio::task::JoinHandle<SendReport>,
}

impl Feed {
    fn start(name: &str, address: SocketAddr, letters: Vec<Letter>, rate: f64) -> Self {
        let address = address.to_string();
        let way = if name == FHIR { SendConfig::fhir(address, Some(TOKEN)) } else { SendConfig::to(address) };
        let config =
            SendConfig { connections: 4, rate: Some(rate), give_up_after: Duration::from_mins(1), ..way };
        let sender = Sender::new(config);
        let progress = sender.progress();
        let outgoing = letters.iter().map(|letter| letter.outgoing.clone()).collect();
        let running = tokio::spawn(async move { sender.run(outgoing, CancellationToken::new()).await });
        Self { letters, progress, running }
    }
}

struct Counts {
    total: usize,
    sent: u64,
    accepted: u64,
    refused: u64,
    failed: u64,
}

impl Counts {
    fn of(feeds: &[Feed]) -> Self {
        let mut counts = Self { total: 0, sent: 0, accepted: 0, refused: 0, failed: 0 };
        for feed in feeds {
            let now = feed.progress.snapshot();
            counts.total += feed.letters.len();
            counts.sent += now.sent;
            counts.accepted += now.accepted;
            counts.refused += now.refused;
            counts.failed += now.failed;
        }
        counts
    }

    async fn line(&self, tracker: &Tracker, down: bool) -> String {
        let Self { total, sent, accepted, refused, failed } = self;
        let books = match tracker.balance().await {
            Ok(balance) => {
                let ended = balance.in_state("delivered") + balance.in_state("no-destination");
                format!("accounted {}, ended {ended}, open {}", balance.known(), balance.open())
            }
            Err(_) => "the tracker does not answer".to_owned(),
        };
        let failed = if *failed > 0 { format!(", given up {failed}") } else { String::new() };
        let down = if down { format!("   {PORTAL} is DOWN") } else { String::new() };
        format!("sent {sent} of {total}, acknowledged {accepted}, refused {refused}{failed} | {books}{down}")
    }
}
