//! The tracker's HTTP API, as a reader of its own: it knows the documented JSON and none of the tracker's code.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;
use waybill_contracts::MessageId;

use crate::{eventually, http, pending};

/// Asks the tracker.
#[derive(Clone, Debug)]
pub struct Tracker {
    base: String,
}

/// One message's waybill.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Waybill {
    /// Inbound message id, also the trace id.
    pub message_id: String,
    /// Feed.
    pub feed: Option<String>,
    /// MSH-9.
    pub message_type: Option<String>,
    /// MSH-10 as received.
    pub control_id: Option<String>,
    /// `open`, `delivered`, `no-destination` …
    pub state: String,
    /// Why there are no lines.
    pub reason_code: Option<String>,
    /// One per event and consumer, and per target.
    pub lines: Vec<Line>,
}

/// A line of a waybill.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Line {
    /// The event.
    pub event_id: Option<String>,
    /// Topic of the event without namespace.
    pub topic: Option<String>,
    /// Consumer group, or target.
    pub destination: Option<String>,
    /// `confirmed`, `rejected` …
    pub outcome: String,
    /// Attempts so far.
    pub attempts: i64,
    /// Reason code.
    pub reason_code: Option<String>,
}

impl Waybill {
    /// The id.
    pub fn id(&self) -> anyhow::Result<MessageId> {
        self.message_id.parse().with_context(|| format!("{:?} is not a message id", self.message_id))
    }

    /// The state in lower case with hyphens, however the tracker spells it.
    pub fn state(&self) -> String {
        normal(&self.state)
    }

    /// Nothing more is expected to happen by itself.
    pub fn is_settled(&self) -> bool {
        !matches!(self.state().as_str(), "open" | "overdue" | "")
    }

    /// The line of a destination.
    pub fn line(&self, destination: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.destination.as_deref() == Some(destination))
    }
}

impl Line {
    /// The outcome in lower case with hyphens.
    pub fn outcome(&self) -> String {
        normal(&self.outcome)
    }
}

/// `NO_DESTINATION` and `no-destination` are one.
fn normal(text: &str) -> String {
    text.to_lowercase().replace('_', "-")
}

impl Tracker {
    /// At this address (without `/api/v1`).
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned() }
    }

    /// Its address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// One message; `None` where the tracker has not heard of it.
    pub async fn message(&self, id: MessageId) -> anyhow::Result<Option<Waybill>> {
        let answer = self.json(&format!("messages/{id}")).await?;
        answer.map(|value| serde_json::from_value(value).context("a waybill that cannot be read")).transpose()
    }

    /// Messages with this MSH-10, lines included.
    pub async fn by_control_id(&self, control_id: &str) -> anyhow::Result<Vec<Waybill>> {
        self.whole(&[("control_id", control_id)]).await
    }

    /// All messages that fit, lines included.
    pub async fn whole(&self, query: &[(&str, &str)]) -> anyhow::Result<Vec<Waybill>> {
        let mut whole = Vec::new();
        for listed in self.list(query).await? {
            let id = listed.id()?;
            whole.push(self.message(id).await?.with_context(|| format!("{id} is listed, but not found"))?);
        }
        Ok(whole)
    }

    /// All messages that fit, page by page, as the list shows them: without lines.
    pub async fn list(&self, query: &[(&str, &str)]) -> anyhow::Result<Vec<Waybill>> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        let url = format!("{}/api/v1/messages", self.base);
        loop {
            let mut request = http::client().get(&url).query(query).query(&[("limit", "1000")]);
            if let Some(after) = &after {
                request = request.query(&[("after", after)]);
            }
            let response = request.send().await.with_context(|| format!("GET {url}"))?;
            let status = response.status();
            let body = response.text().await?;
            ensure!(status.is_success(), "GET {url}: {status} {body}");
            let page: Page = serde_json::from_str(&body).with_context(|| format!("GET {url}: not a list"))?;
            found.extend(page.messages);
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// The balance sheet.
    pub async fn balance(&self) -> anyhow::Result<Balance> {
        let sheet = self.json("balance").await?.context("the tracker has no balance")?;
        serde_json::from_value(sheet).context("a balance sheet that cannot be read")
    }

    /// Waits until a message's waybill is as wanted.
    pub async fn until(
        &self,
        id: MessageId,
        within: Duration,
        wanted: impl Fn(&Waybill) -> bool,
    ) -> anyhow::Result<Waybill> {
        eventually(&format!("waybill of {id}"), within, async || match self.message(id).await? {
            Some(waybill) if wanted(&waybill) => Ok(waybill),
            Some(waybill) => pending(format!("{waybill:?}")),
            None => pending("unknown to the tracker"),
        })
        .await
    }

    /// Waits until nothing is open: so many messages are known and each is settled.
    pub async fn until_settled(&self, messages: u64, within: Duration) -> anyhow::Result<Balance> {
        eventually(&format!("{messages} messages are settled"), within, async || {
            let balance = self.balance().await?;
            if balance.known() >= messages && balance.open() == 0 {
                Ok(balance)
            } else {
                pending(format!(
                    "{} known, {} open: {:?}",
                    balance.known(),
                    balance.open(),
                    balance.messages.by_state
                ))
            }
        })
        .await
    }

    /// An endpoint below `/api/v1`, as JSON; 404 is `None`.
    pub async fn json(&self, path: &str) -> anyhow::Result<Option<Value>> {
        http::json(&format!("{}/api/v1/{path}", self.base)).await
    }
}

/// The balance sheet: messages by state, and per destination the lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// Whether every row sums to zero.
    pub balanced: bool,
    /// Messages on the books.
    pub messages: Messages,
    /// Lines per hour, feed, topic and destination: each column as the tracker names it.
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, Value>>,
}

/// Messages on the books.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Messages {
    /// All.
    pub total: u64,
    /// By state.
    pub by_state: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Waybill>,
    next: Option<String>,
}

impl Balance {
    /// Messages known.
    pub fn known(&self) -> u64 {
        self.messages.total
    }

    /// Messages in a state, however it is spelled.
    pub fn in_state(&self, state: &str) -> u64 {
        let fits = |name: &str| normal(name) == normal(state);
        self.messages.by_state.iter().filter(|(name, _)| fits(name)).map(|(_, count)| count).sum()
    }

    /// A column of all rows, added.
    pub fn sum(&self, column: &str) -> u64 {
        self.rows.iter().filter_map(|row| row.get(column)?.as_u64()).sum()
    }

    /// Messages and lines that are not settled.
    pub fn open(&self) -> u64 {
        self.in_state("open") + self.in_state("overdue") + self.sum("open") + self.sum("overdue")
    }
}
