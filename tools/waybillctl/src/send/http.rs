//! HL7 v2 and FHIR R4 by HTTP.

use std::time::Duration;

use reqwest::{
    Certificate, Client, Identity, Url,
    header::{ACCEPT, CONTENT_TYPE},
    redirect::Policy,
};
use serde_json::Value;

use super::{
    Tls,
    answer::{Answer, Outcome},
};
use crate::{
    failure::Failure,
    files::{Kind, Subject, resource_type},
};

/// Longest answer: that to a Bundle has some 200 bytes for each entry.
const MAX_ANSWER: usize = 64 << 20;

/// A client of one base address.
pub(super) struct HttpClient {
    base: String,
    token: Option<String>,
    client: Client,
}

impl HttpClient {
    pub(super) fn new(
        url: &str,
        token: Option<String>,
        tls: &Tls,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let legal =
            Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !legal {
            return Err(Failure::Usage(format!("{url} is no http or https address")));
        }
        let wrong = |what: &str| Failure::Usage(format!("{what} cannot be used"));
        // What is sent is patient data: an answer does not say where else it goes.
        let mut builder =
            Client::builder().redirect(Policy::none()).timeout(timeout).connect_timeout(timeout);
        if let Some(authority) = &tls.authority {
            let certificate = Certificate::from_pem(authority).map_err(|_| wrong("--tls-ca"))?;
            builder = builder.add_root_certificate(certificate);
        }
        if let Some((certificate, key)) = &tls.identity {
            let identity =
                Identity::from_pkcs8_pem(certificate, key).map_err(|_| wrong("--cert with --key"))?;
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Self { base: url.trim_end_matches('/').to_owned(), token, client })
    }

    pub(super) async fn exchange(&self, subject: &Subject) -> Result<Answer, Failure> {
        let (url, content_type) = self.target(subject);
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, content_type)
            .body(subject.bytes.clone());
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let why = innermost(&error);
                return Err(Failure::Unavailable(format!("{} does not answer: {why}", self.base)));
            }
            Err(error) if error.is_timeout() => return Ok(Answer::none("no answer in time")),
            Err(_) => return Ok(Answer::none("the connection was lost before the answer")),
        };
        let status = response.status();
        let body = match within_bounds(response).await {
            Ok(body) => body,
            Err(why) => return Ok(Answer::none(why)),
        };
        Ok(match subject.kind {
            // The acknowledgement says more than the status.
            Kind::Hl7 if body.starts_with(b"MSH") || body.starts_with(b"FHS") || body.starts_with(b"BHS") => {
                Answer::hl7(&subject.bytes, &body)
            }
            _ => of_status(status.as_u16(), &body),
        })
    }

    fn target(&self, subject: &Subject) -> (String, &'static str) {
        let base = |path: &str| {
            if self.base.ends_with(path) { self.base.clone() } else { format!("{}{path}", self.base) }
        };
        match subject.kind {
            Kind::Hl7 => (base("/hl7"), "x-application/hl7-v2+er7"),
            Kind::Fhir => {
                let kind = resource_type(&subject.bytes).filter(|kind| {
                    kind != "Bundle"
                        && !kind.is_empty()
                        && kind.bytes().all(|byte| byte.is_ascii_alphabetic())
                });
                let url = base("/fhir");
                (kind.map_or(url.clone(), |kind| format!("{url}/{kind}")), "application/fhir+json")
            }
        }
    }
}

async fn within_bounds(mut response: reqwest::Response) -> Result<Vec<u8>, &'static str> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|_| "the connection was lost within the answer")? {
        if body.len() + part.len() > MAX_ANSWER {
            return Err("the answer is too large");
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// The last cause: what the system said, without the addresses that the layers above repeat.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

fn of_status(status: u16, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut errors = issues(&body);
    let mut outcome = if (200..300).contains(&status) { Outcome::Accepted } else { Outcome::Refused };
    // A batch answers 200 whatever became of its entries (FHIR R4 §3.1.0.11.3).
    for (number, entry) in body["entry"].as_array().into_iter().flatten().enumerate() {
        let answered = entry["response"]["status"].as_str().unwrap_or_default();
        if !answered.is_empty() && !answered.starts_with('2') {
            outcome = Outcome::Refused;
            errors.push(format!("Bundle.entry[{number}] {answered}"));
            errors.extend(issues(&entry["response"]["outcome"]));
        }
    }
    Answer { outcome, code: status.to_string(), errors }
}

/// Place and code of each error of an OperationOutcome.
fn issues(outcome: &Value) -> Vec<String> {
    let issues = outcome["issue"].as_array().into_iter().flatten();
    let errors = issues.filter(|issue| matches!(issue["severity"].as_str(), Some("error" | "fatal")));
    let described = errors.map(|issue| {
        let place = issue["expression"][0].as_str().or_else(|| issue["location"][0].as_str());
        format!("{} {}", place.unwrap_or("-"), issue["code"].as_str().unwrap_or("-"))
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_outcomes_are_read() {
        let outcome = br#"{"resourceType":"OperationOutcome","issue":[
            {"severity":"error","code":"required","expression":["Bundle.entry[0].resource.subject"]},
            {"severity":"warning","code":"value"}]}"#;
        let refused = of_status(422, outcome);
        assert_eq!(refused.outcome, Outcome::Refused);
        assert_eq!(refused.errors, ["Bundle.entry[0].resource.subject required"]);
        let batch = br#"{"resourceType":"Bundle","type":"batch-response","entry":[
            {"response":{"status":"201 Created"}},{"response":{"status":"400 Bad Request"}}]}"#;
        let partly = of_status(200, batch);
        assert_eq!(
            (partly.outcome, partly.errors),
            (Outcome::Refused, vec!["Bundle.entry[1] 400 Bad Request".into()])
        );
        assert_eq!(of_status(201, b"").outcome, Outcome::Accepted);
    }
}
