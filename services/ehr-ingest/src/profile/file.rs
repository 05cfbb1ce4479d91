//! The profile file as it is written.

use serde::Deserialize;
use toml::Spanned;

use super::Mode;
use crate::config::{AcceptConfig, AckConfig};

/// A profile file; the keys are explained in `docs/onboarding.md`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Spanned<String>,
    pub(super) default_authority: Option<Spanned<String>>,
    pub(super) charset: Option<Spanned<String>>,
    pub(super) utc_offset: Option<Spanned<String>>,
    pub(super) accept: Option<AcceptConfig>,
    pub(super) ack: Option<AckConfig>,
    #[serde(default)]
    pub(super) authority: Vec<Authority>,
    #[serde(default)]
    pub(super) copy: Vec<Take>,
    #[serde(default, rename = "move")]
    pub(super) moves: Vec<Take>,
    #[serde(default)]
    pub(super) default: Vec<Default>,
    #[serde(default)]
    pub(super) translate: Vec<Translate>,
    #[serde(default)]
    pub(super) drop: Vec<Drop>,
}

/// `[[authority]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authority {
    pub(super) name: Spanned<String>,
    pub(super) aliases: Spanned<Vec<Spanned<String>>>,
}

/// `[[copy]]` and `[[move]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Take {
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
    #[serde(default)]
    pub(super) overwrite: bool,
    #[serde(default)]
    pub(super) when: Vec<Spanned<String>>,
}

/// `[[default]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Default {
    pub(super) field: Spanned<String>,
    pub(super) value: Spanned<String>,
    #[serde(default)]
    pub(super) overwrite: bool,
    #[serde(default)]
    pub(super) when: Vec<Spanned<String>>,
}

/// `[[translate]]`: of a `field` in HL7 v2, of an `element` in FHIR.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Translate {
    pub(super) field: Option<Spanned<String>>,
    pub(super) element: Option<Spanned<String>>,
    pub(super) table: Spanned<String>,
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) when: Vec<Spanned<String>>,
}

/// `[[drop]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drop {
    pub(super) field: Spanned<String>,
    pub(super) reason: Spanned<String>,
    #[serde(default)]
    pub(super) when: Vec<Spanned<String>>,
}
