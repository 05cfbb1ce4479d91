//! The same over HTTP: one POST per message, the connection kept.

use super::lane::{Answer, read_ack};
use super::{Content, HttpConfig, SendConfig};

/// A client for one address.
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    content: Content,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(config: &SendConfig, http: &HttpConfig) -> Result<Self, &'static str> {
        let client = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            // The hub is addressed directly, whatever the environment says of proxies.
            .no_proxy()
            .build()
            .map_err(|_| "no-client")?;
        let url = format!("http://{}{}", config.target, http.path);
        Ok(Self { http: client, url, content: http.content, token: http.token.clone() })
    }

    pub(super) async fn post(&self, body: &[u8], control_id: &str) -> Answer {
        let mut request = self
            .http
            .post(&self.url)
            .header(reqwest::header::CONTENT_TYPE, self.content.media_type())
            .body(body.to_vec());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Answer::Lost("refused"),
            Err(_) => return Answer::Lost("reset"),
        };
        let status = response.status().as_u16();
        // The answer is whole only when its body is.
        let Ok(answer) = response.bytes().await else { return Answer::Lost("reset") };
        match self.content {
            // HL7 over HTTP: the acknowledgement says more than the status, where there is one.
            Content::Hl7 => match read_ack(&answer, control_id) {
                Answer::Lost("garbage") => by_status(status),
                told => told,
            },
            Content::Fhir => by_status(status),
        }
    }
}

/// What a status says to a sender that holds the message until it is taken (RFC 9110 §15).
fn by_status(status: u16) -> Answer {
    // Too slow, too many, and the receiver's own troubles pass; the rest does not.
    let again = matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504);
    Answer::Ack { code: status.to_string(), again }
}

#[cfg(test)]
mod tests {
    use super::{Answer, by_status};

    #[test]
    fn troubles_of_the_receiver_pass() {
        for (status, again) in
            [(200, false), (201, false), (400, false), (401, false), (422, false), (503, true), (429, true)]
        {
            assert!(
                matches!(by_status(status), Answer::Ack { again: found, .. } if found == again),
                "{status}"
            );
        }
    }
}
