//! A plain HTTP client for admin ports and APIs of a test.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context as _, ensure};

/// One request's bound: everything asked runs on this machine.
const TIMEOUT: Duration = Duration::from_secs(15);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body as text.
    pub body: String,
}

/// The client, made once.
pub fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().unwrap_or_default())
}

/// GET, whatever the status.
pub async fn ask(url: &str) -> anyhow::Result<Answer> {
    let response = client().get(url).send().await.with_context(|| format!("GET {url}"))?;
    let status = response.status().as_u16();
    let body = response.text().await.with_context(|| format!("GET {url}"))?;
    Ok(Answer { status, body })
}

/// GET; anything but 2xx is an error that shows the answer.
pub async fn get(url: &str) -> anyhow::Result<String> {
    let answer = ask(url).await?;
    ensure!((200..300).contains(&answer.status), "GET {url}: {} {}", answer.status, answer.body.trim());
    Ok(answer.body)
}

/// GET and parse; 404 is `None`.
pub async fn json(url: &str) -> anyhow::Result<Option<serde_json::Value>> {
    let answer = ask(url).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    ensure!((200..300).contains(&answer.status), "GET {url}: {} {}", answer.status, answer.body.trim());
    serde_json::from_str(&answer.body).map(Some).with_context(|| format!("GET {url}: not JSON"))
}
