//! The schema registry's client: `schema_registry_converter` behind a fence.
//!
//! Used of that crate: its HTTP calls (`perform_sr_call`, `is_compatible_schema`), which keep no state. Not used, and why
//! (each seen at version 6.0.0; `tests/registry.rs` holds the fence):
//!
//! - Its encoders and decoders cache an error of any status but 502 and 503 for ever. Nothing of ours goes through them;
//!   [`Codec`](crate::Codec) caches schemas only, and failures for a quarter of a second.
//! - Its `retriable` flag calls 500, 504, 429 and 401 permanent. It is ignored: the status is judged here, and whatever is
//!   not a refusal or a confirmed absence is class `unavailable`.
//! - Its look-up by GUID in a header keeps every schema under id 0 and decodes with the wrong one. No header id is read.
//! - It accepts bytes after the datum. `waybill_contracts::avro::decode` does not.
//! - Its strategies register what they encode with, or use the subject's latest schema, which another team can move.
//!   [`Registry::id_of`] looks the compiled-in schema up and never registers.

use std::error::Error as _;

use reqwest::Method;
use schema_registry_converter::{
    async_impl::schema_registry::{SrSettings, is_compatible_schema, perform_sr_call},
    error::SRCError,
    schema_registry_common::{RawError, RawRegisteredSchema, SchemaType, SrCall, SuppliedSchema},
};
use waybill_contracts::{ReasonCode, Record, TopicName, reason};
use waybill_delivery::{Classify, ErrorClass};
use waybill_telemetry::{
    Secret,
    metrics::{Label, Metric, count},
};

use crate::RegistryConfig;

/// Id of a schema in one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u32);

impl std::fmt::Display for SchemaId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What the registry did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The settings cannot be used.
    #[error("the registry's settings cannot be used: {0}")]
    Settings(String),
    /// No answer, or one that says nothing about what was asked.
    #[error("the schema registry does not answer: {0}")]
    Unavailable(String),
    /// It answered and will not have us.
    #[error("the schema registry refuses: {0}")]
    Refused(String),
    /// Our compiled-in schema is not registered under its subject.
    #[error("the schema is not registered under {subject}")]
    NotRegistered {
        /// The subject.
        subject: String,
    },
    /// Our compiled-in schema does not fit those registered.
    #[error("the schema is not compatible with those of {subject}")]
    Incompatible {
        /// The subject.
        subject: String,
    },
    /// The registry does not know the id; it will be asked again before that counts.
    #[error("schema id {0} is unknown, not confirmed yet")]
    Unconfirmed(SchemaId),
    /// The registry has been asked twice and does not know the id.
    #[error("schema id {0} is unknown")]
    Unknown(SchemaId),
    /// The id is not an Avro schema that can be read.
    #[error("schema id {0} is no readable Avro schema")]
    NotAvro(SchemaId),
}

impl Classify for RegistryError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable(_) | Self::Unconfirmed(_) => ErrorClass::Unavailable,
            Self::Settings(_) | Self::Refused(_) | Self::NotRegistered { .. } | Self::Incompatible { .. } => {
                ErrorClass::Configuration
            }
            Self::Unknown(_) | Self::NotAvro(_) => ErrorClass::Data,
        }
    }

    fn reason(&self) -> ReasonCode {
        match self.class() {
            ErrorClass::Data => reason::SCHEMA_UNKNOWN,
            ErrorClass::Configuration => reason::SCHEMA_NOT_REGISTERED,
            ErrorClass::Unavailable | ErrorClass::Defect => reason::REGISTRY_UNAVAILABLE,
        }
    }
}

/// The registry.
#[derive(Debug)]
pub struct Registry {
    settings: SrSettings,
    http: reqwest::Client,
    config: RegistryConfig,
}

impl Registry {
    /// Asks nothing yet.
    pub fn new(config: &RegistryConfig) -> Result<Self, RegistryError> {
        // The registry stands beside the brokers; a proxy for the outside world must not catch these requests.
        let http = reqwest::Client::builder()
            .timeout(config.timeout.get())
            .no_proxy()
            .build()
            .map_err(|error| RegistryError::Settings(error.to_string()))?;
        let mut builder = SrSettings::new_builder(config.url.trim_end_matches('/').to_owned());
        builder.set_timeout(config.timeout.get()).no_proxy();
        if let Some(user) = &config.username {
            builder.set_basic_authorization(
                user,
                config.password.as_ref().map(|secret| secret.expose().as_str()),
            );
        }
        let settings = builder.build().map_err(|error| RegistryError::Settings(error.error))?;
        Ok(Self { settings, http, config: config.clone() })
    }

    pub(crate) fn config(&self) -> &RegistryConfig {
        &self.config
    }

    /// Id of the compiled-in schema under the topic's subject; looks it up, never registers.
    pub async fn id_of<T: Record>(&self, topic: &TopicName) -> Result<SchemaId, RegistryError> {
        self.look_up(topic, T::SCHEMA).await
    }

    /// Id of a schema under the topic's subject.
    pub async fn look_up(&self, topic: &TopicName, schema: &str) -> Result<SchemaId, RegistryError> {
        let subject = subject(topic);
        let body = serde_json::json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        let answer = self.call(SrCall::PostForVersion(&subject, &body)).await;
        found(answer, || RegistryError::NotRegistered { subject })
    }

    /// Registers a schema under the topic's subject: for the deployment, never for a service.
    pub async fn register(&self, topic: &TopicName, schema: &str) -> Result<SchemaId, RegistryError> {
        let subject = subject(topic);
        let body = serde_json::json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        let answer = self.call(SrCall::PostNew(&subject, &body)).await;
        found(answer, || RegistryError::Incompatible { subject })
    }

    /// Whether a schema fits those registered under the topic's subject; a subject without any fits.
    pub async fn check_compatible(&self, topic: &TopicName, schema: &str) -> Result<(), RegistryError> {
        let subject = subject(topic);
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        match is_compatible_schema(&self.settings, subject.clone(), supplied).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(RegistryError::Incompatible { subject }),
            Err(error) => match Answer::of(&error) {
                Answer::Absent => Ok(()),
                answer => Err(answer.error(|| RegistryError::Incompatible { subject })),
            },
        }
    }

    /// Sets the compatibility of the topic's subject (`FULL_TRANSITIVE`), or of the registry without a topic.
    ///
    /// Apicurio enforces nothing at registration until this was set.
    pub async fn set_compatibility(
        &self,
        topic: Option<&TopicName>,
        level: &str,
    ) -> Result<(), RegistryError> {
        let (path, request) = self.config_request(Method::PUT, topic);
        let answer =
            request.json(&serde_json::json!({ "compatibility": level })).send().await.map_err(no_answer)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Answer::from_status(status.as_u16(), 0)
                .error(|| RegistryError::Refused(format!("HTTP status {status} to {path}")))),
        }
    }

    /// Compatibility of the topic's subject; `None` when none was set for it.
    pub async fn compatibility(&self, topic: &TopicName) -> Result<Option<String>, RegistryError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Config {
            // Confluent's name in an answer; some registries repeat that of the request.
            #[serde(alias = "compatibility")]
            compatibility_level: String,
        }
        let (path, request) = self.config_request(Method::GET, Some(topic));
        let answer = request.send().await.map_err(no_answer)?;
        match answer.status() {
            status if status.is_success() => {
                let config: Config = answer.json().await.map_err(no_answer)?;
                Ok((config.compatibility_level != "NONE").then_some(config.compatibility_level))
            }
            reqwest::StatusCode::NOT_FOUND => Ok(None),
            status => Err(Answer::from_status(status.as_u16(), 0)
                .error(|| RegistryError::Refused(format!("HTTP status {status} to {path}")))),
        }
    }

    /// Deletes every subject whose name begins with `prefix`, as a test does with its namespace.
    pub async fn delete_subjects(&self, prefix: &str) -> Result<(), RegistryError> {
        let listed = self.request(Method::GET, "subjects").send().await.map_err(no_answer)?;
        let subjects: Vec<String> = listed.json().await.map_err(no_answer)?;
        for subject in subjects.iter().filter(|subject| subject.starts_with(prefix)) {
            for path in [format!("subjects/{subject}"), format!("subjects/{subject}?permanent=true")] {
                self.request(Method::DELETE, &path).send().await.map_err(no_answer)?;
            }
        }
        Ok(())
    }

    fn config_request(&self, method: Method, topic: Option<&TopicName>) -> (String, reqwest::RequestBuilder) {
        let path = topic.map_or_else(|| "config".to_owned(), |topic| format!("config/{}", subject(topic)));
        let request = self.request(method, &path);
        (path, request)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/{path}", self.config.url.trim_end_matches('/')));
        match &self.config.username {
            Some(user) => request.basic_auth(user, self.config.password.as_ref().map(Secret::expose)),
            None => request,
        }
    }

    /// The registered schema's text, or whether it is absent.
    pub(crate) async fn text_of(&self, id: SchemaId) -> Result<String, Missing> {
        match self.call(SrCall::GetById(id.0)).await {
            Ok(raw) => match (raw.schema_type.as_deref(), raw.schema, raw.references) {
                (None | Some("AVRO"), Some(text), None) => Ok(text),
                (None | Some("AVRO"), Some(text), Some(references)) if references.is_empty() => Ok(text),
                // Our schemas are self-contained; how references resolve differs between registries.
                _ => Err(Missing::Error(RegistryError::NotAvro(id))),
            },
            Err(Answer::Absent) => Err(Missing::Absent),
            Err(answer) => Err(Missing::Error(answer.error(|| RegistryError::NotAvro(id)))),
        }
    }

    async fn call(&self, call: SrCall<'_>) -> Result<RawRegisteredSchema, Answer> {
        let result = perform_sr_call(&self.settings, call).await.map_err(|error| Answer::of(&error));
        let outcome = match &result {
            Ok(_) => "ok",
            Err(Answer::Absent) => "absent",
            Err(Answer::Conflict | Answer::Refused(_)) => "refused",
            Err(Answer::Nothing(_)) => "unavailable",
        };
        count(Metric::RegistryRequests, 1, &[Label::Outcome(outcome)]);
        result
    }
}

/// Why a schema's text is not here.
pub(crate) enum Missing {
    /// The registry is well and does not have it.
    Absent,
    /// Anything else.
    Error(RegistryError),
}

/// By the topic's name, the strategy that registries call `TopicNameStrategy`.
fn subject(topic: &TopicName) -> String {
    format!("{topic}-value")
}

fn no_answer(error: reqwest::Error) -> RegistryError {
    RegistryError::Unavailable(error.without_url().to_string())
}

fn found(
    answer: Result<RawRegisteredSchema, Answer>,
    absent: impl FnOnce() -> RegistryError,
) -> Result<SchemaId, RegistryError> {
    match answer {
        Ok(raw) => raw
            .id
            .map(SchemaId)
            .ok_or_else(|| RegistryError::Unavailable("an answer without an id".to_owned())),
        Err(answer) => Err(answer.error(absent)),
    }
}

/// What an unsuccessful answer says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// A registry that is well does not have it: 404 with its own error code.
    Absent,
    /// 409 or 422: it understood, and the schema cannot be.
    Conflict,
    /// 400, 401, 403, 404 from something that is no registry.
    Refused(String),
    /// Everything else.
    Nothing(String),
}

impl Answer {
    fn of(error: &SRCError) -> Self {
        let code = error
            .source()
            .and_then(|source| source.downcast_ref::<RawError>())
            .map_or(0, |raw| raw.error_code);
        // The status is only in the text: "HTTP request to schema registry failed with status 404 Not Found".
        let status =
            error.error.rsplit_once("with status ").and_then(|(_, status)| status.get(..3)?.parse().ok());
        status.map_or_else(|| Self::Nothing(error.error.clone()), |status| Self::from_status(status, code))
    }

    fn from_status(status: u16, code: u32) -> Self {
        match (status, code) {
            (404, 40_401..=40_499) => Self::Absent,
            (409 | 422, _) => Self::Conflict,
            (400 | 401 | 403 | 404, _) => Self::Refused(format!("HTTP status {status}")),
            _ => Self::Nothing(format!("HTTP status {status}")),
        }
    }

    fn error(self, specific: impl FnOnce() -> RegistryError) -> RegistryError {
        match self {
            Self::Absent | Self::Conflict => specific(),
            Self::Refused(what) => RegistryError::Refused(what),
            Self::Nothing(what) => RegistryError::Unavailable(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_that_is_well_can_say_no() {
        for (status, code, expected) in [
            (404, 40_403, Answer::Absent),
            (404, 40_401, Answer::Absent),
            (404, 0, Answer::Refused("HTTP status 404".into())),
            (401, 0, Answer::Refused("HTTP status 401".into())),
            (409, 409, Answer::Conflict),
            (422, 42_201, Answer::Conflict),
            (429, 0, Answer::Nothing("HTTP status 429".into())),
            (500, 50_001, Answer::Nothing("HTTP status 500".into())),
            (503, 0, Answer::Nothing("HTTP status 503".into())),
            (504, 0, Answer::Nothing("HTTP status 504".into())),
        ] {
            assert_eq!(Answer::from_status(status, code), expected, "{status} {code}");
        }
    }
}
