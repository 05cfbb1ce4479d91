//! The tracker's HTTP API, as a reader.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::Value;

use crate::failure::Failure;

/// Asks the tracker.
pub(crate) struct Tracker {
    base: Url,
    http: reqwest::Client,
}

impl Tracker {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let base: Url = url
            .trim_end_matches('/')
            .parse()
            .map_err(|error| Failure::Usage(format!("tracker URL: {error}")))?;
        if base.cannot_be_a_base() {
            return Err(Failure::Usage("tracker URL: must be like http://host:port".to_owned()));
        }
        // The tracker stands beside the services; a proxy for the outside world must not catch these requests.
        let http = reqwest::Client::builder().timeout(Duration::from_secs(15)).no_proxy().build();
        Ok(Self { base, http: http.map_err(|error| Failure::Usage(error.to_string()))? })
    }

    /// GET of a path under the base; `None` for 404.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Option<Value>, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        let silent = |error: reqwest::Error| {
            Failure::Unavailable(format!(
                "the tracker at {} cannot be reached ({})",
                self.base,
                cause(&error.without_url())
            ))
        };
        let answer = self.http.get(url).query(query).send().await.map_err(silent)?;
        match answer.status() {
            status if status.is_success() => answer.json().await.map(Some).map_err(silent),
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_server_error() => {
                Err(Failure::Unavailable(format!("the tracker at {} answers {status}", self.base)))
            }
            status => Err(Failure::Failed(format!("the tracker at {} refuses: {status}", self.base))),
        }
    }
}

/// The innermost cause says what happened; the outer ones that a request failed.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
