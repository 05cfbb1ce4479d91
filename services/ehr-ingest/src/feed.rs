//! A feed as the code uses it: its settings, checked and compiled once.

use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};
use waybill_contracts::{PatientKeyer, inbound};
use waybill_hl7v2::{Charset, Dtm, Header, Message};

use crate::{
    config::{AcceptConfig, AckConfig, FeedConfig, Protocol},
    mapping::MAPPING_VERSION,
    profile::{Profile, ProfileErrors},
};

/// One sender's way in.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Name.
    pub name: String,
    /// Name and content hash of what decides the mapping; travels in each event.
    pub profile: SmolStr,
    /// Assigning authority of identifiers without one; `None`: the sending facility (MSH-4).
    pub default_authority: Option<String>,
    /// Character set, whatever MSH-18 says; `None`: MSH-18, else by the bytes.
    pub charset: Option<Charset>,
    /// Minutes east of UTC of times without an offset, where MSH-7 has none either.
    pub utc_offset: i16,
    /// How HL7 v2 messages come in.
    pub protocol: inbound::Protocol,
    /// Which headers are acceptable.
    pub accept: AcceptConfig,
    /// How messages are answered.
    pub ack: AckConfig,
    /// Makes the keys.
    pub keyer: PatientKeyer,
    /// What the sender does differently; most senders do nothing.
    pub rules: Option<Arc<Profile>>,
}

impl Feed {
    /// From settings, with the profile that they name.
    ///
    /// # Errors
    /// What is wrong with the profile.
    pub fn open(config: &FeedConfig, keyer: PatientKeyer) -> Result<Self, ProfileErrors> {
        match &config.profile {
            None => Ok(Self::new(config, keyer)),
            Some(file) => Ok(Self::with_profile(config, Profile::load(file)?, keyer)),
        }
    }

    /// From settings and a profile, whose keys count where they say the same.
    pub fn with_profile(config: &FeedConfig, profile: Profile, keyer: PatientKeyer) -> Self {
        let settings = profile.settings(config);
        let hash = deciding_hash(&settings, Some(&profile));
        let feed = Self::new(&settings, keyer);
        Self { profile: format_smolstr!("{}@{hash}", profile.name), rules: Some(Arc::new(profile)), ..feed }
    }

    /// What the profile makes of an HL7 v2 message before it is mapped; `None`: nothing, it stays as it is.
    pub fn rewrite_v2(&self, message: &Message<'_>) -> Option<Vec<u8>> {
        self.rules.as_ref()?.rewrite_v2(message, self.charset)
    }

    /// The same for a FHIR resource in JSON.
    pub fn rewrite_fhir(&self, json: &[u8]) -> Option<Vec<u8>> {
        self.rules.as_ref()?.rewrite_fhir(json)
    }

    /// The one name that an assigning authority has in events and keys.
    pub fn authority<'a>(&'a self, name: &'a str) -> &'a str {
        self.rules.as_ref().map_or(name, |rules| rules.authority(name))
    }

    /// From settings that [`FeedConfig::problems`] has found nothing wrong with; what is wrong all the same counts as
    /// not set. Without their profile: that is [`Feed::open`].
    pub fn new(config: &FeedConfig, keyer: PatientKeyer) -> Self {
        let charset = config.charset.as_deref().and_then(Charset::named);
        let utc_offset = parse_utc_offset(&config.utc_offset).unwrap_or(0);
        Self {
            name: config.name.clone(),
            profile: format_smolstr!("{}@{}", config.name, deciding_hash(config, None)),
            default_authority: config.default_authority.clone(),
            charset,
            utc_offset,
            protocol: match config.protocol {
                Protocol::Mllp => inbound::Protocol::Mllp,
                Protocol::Http => inbound::Protocol::Hl7Http,
            },
            accept: config.accept.clone(),
            ack: config.ack,
            keyer,
            rules: None,
        }
    }

    /// The offset of MSH-7 is the default of the whole message (HL7 v2, MSH-7); without one the feed's counts.
    pub(crate) fn utc_offset_of(&self, header: &Header<'_>) -> i16 {
        Dtm::parse(header.timestamp()).and_then(|dtm| dtm.offset_minutes()).unwrap_or(self.utc_offset)
    }
}

/// `+01:00` as minutes; `Z` is zero.
pub(crate) fn parse_utc_offset(text: &str) -> Option<i16> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |part: &str, below: i16| {
        let number =
            part.parse::<i16>().ok().filter(|_| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()));
        number.filter(|number| *number < below)
    };
    Some(sign * (two(hours, 15)? * 60 + two(minutes, 60)?))
}

/// Hash of everything by which the same bytes may become other events.
fn deciding_hash(config: &FeedConfig, profile: Option<&Profile>) -> String {
    let charset = config.charset.as_deref().and_then(Charset::named).map(|charset| charset.name());
    let utc_offset = parse_utc_offset(&config.utc_offset).unwrap_or(0);
    let mut deciding =
        format!("{MAPPING_VERSION}\n{:?}\n{charset:?}\n{utc_offset}", config.default_authority).into_bytes();
    deciding.extend(profile.map(|profile| profile.sha256).into_iter().flatten());
    short_hash(&deciding)
}

fn short_hash(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(bytes);
    format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_strictly() {
        assert_eq!(parse_utc_offset("+00:00"), Some(0));
        assert_eq!(parse_utc_offset("Z"), Some(0));
        assert_eq!(parse_utc_offset("-05:30"), Some(-330));
        for wrong in ["", "5", "+5:00", "+0500", "+15:00", "+01:60", "UTC", "é"] {
            assert_eq!(parse_utc_offset(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_profile_changes_with_what_decides_the_mapping_only() {
        let keyer = PatientKeyer::new(b"test");
        let profile = |config: FeedConfig| Feed::new(&config, keyer.clone()).profile;
        let plain = profile(FeedConfig::default());
        assert!(plain.starts_with("default@"));
        assert_eq!(plain, profile(FeedConfig { max_connections: 7, ..FeedConfig::default() }));
        assert_ne!(
            plain,
            profile(FeedConfig { default_authority: Some("GH".into()), ..FeedConfig::default() })
        );
    }
}
