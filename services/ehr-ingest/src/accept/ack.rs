//! Which acknowledgement a message is owed on its own connection (HL7 v2 §2.8, tables 0008 and 0155).
//!
//! | MSH-15 | MSH-16 | mode | answered |
//! |---|---|---|---|
//! | empty | any | original | AA, AE or AR |
//! | AL, or not in the table | any | enhanced | CA, CE or CR |
//! | ER | any | enhanced | CE or CR, nothing when stored |
//! | SU | any | enhanced | CA when stored, else nothing |
//! | NE | AL, ER, SU | enhanced | nothing: the application's answer is an exchange of its own |
//! | NE | NE, empty | original; by `mode = "strict"` enhanced | AA, AE or AR; by `mode = "strict"` nothing |
//!
//! The standard wants both fields or neither. Where only MSH-16 is valued nothing was said about the commit, so the sender
//! waits as in original mode. An acknowledgement (MSH-9.1 ACK) is never answered, nor is another response (MSA after MSH)
//! that does not ask for a commit.
//!
//! In enhanced mode what is stored is positive: no mapping is tried before the write.

use waybill_hl7v2::{AckCondition, Header, ack::AckCode};

use crate::config::AckMode;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Stored.
    Accepted,
    /// MSH-9, 11 or 12 is not taken.
    HeaderNotAccepted,
    /// Content that its event does not allow.
    Content,
    /// No usable MSH.
    Unreadable,
    /// Larger than the feed or the topic takes.
    TooLarge,
    /// Not stored now; the sender shall repeat it.
    NotStored,
}

/// What a message is owed on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    mode: Mode,
    when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Original,
    Enhanced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    OnError,
    OnSuccess,
    /// The sender does not want it.
    Never,
    /// A response is not responded to.
    IsResponse,
}

impl Owed {
    /// By the feed's rule and the header; `None`: there is no usable header.
    pub fn of(rule: AckMode, header: Option<&Header<'_>>) -> Self {
        let Some(header) = header else {
            let mode = if rule == AckMode::Enhanced { Mode::Enhanced } else { Mode::Original };
            return Self { mode, when: When::Always };
        };
        let sent = Self::as_sent(rule == AckMode::Strict, header.accept_ack(), header.application_ack());
        let owed = match rule {
            AckMode::AsSent | AckMode::Strict => sent,
            AckMode::Original => Self { mode: Mode::Original, when: When::Always },
            AckMode::Enhanced => Self { mode: Mode::Enhanced, when: When::Always },
        };
        if header.message_code() == b"ACK" { owed.of_response() } else { owed }
    }

    fn as_sent(strict: bool, commit: AckCondition, application: AckCondition) -> Self {
        use AckCondition::{Always, Never, OnError, OnSuccess, Unknown, Unvalued};
        let enhanced = |when| Self { mode: Mode::Enhanced, when };
        match (commit, application) {
            (Unvalued, _) => Self { mode: Mode::Original, when: When::Always },
            (Never, Never | Unvalued) if !strict => Self { mode: Mode::Original, when: When::Always },
            (Always | Unknown, _) => enhanced(When::Always),
            (OnError, _) => enhanced(When::OnError),
            (OnSuccess, _) => enhanced(When::OnSuccess),
            (Never, _) => enhanced(When::Never),
        }
    }

    /// The same for a message that is a response.
    #[must_use]
    pub const fn of_response(self) -> Self {
        Self { when: When::IsResponse, ..self }
    }

    /// Whether the message is a response, which no answer is owed to whatever becomes of it.
    pub fn is_response(self) -> bool {
        self.when == When::IsResponse
    }

    /// Original mode: the content is judged before the message is stored.
    pub fn is_original(self) -> bool {
        self.mode == Mode::Original
    }

    /// MSA-1; `None`: nothing is owed.
    pub fn code(self, found: Found) -> Option<AckCode> {
        use Found::{Accepted, Content, HeaderNotAccepted, NotStored, TooLarge, Unreadable};
        let is_owed = match self.when {
            When::Always => true,
            When::OnError => found != Accepted,
            When::OnSuccess => found == Accepted,
            When::Never | When::IsResponse => false,
        };
        is_owed.then_some(match (self.mode, found) {
            (Mode::Original, Accepted) => AckCode::AA,
            (Mode::Original, Content) => AckCode::AE,
            (Mode::Original, HeaderNotAccepted | Unreadable | TooLarge | NotStored) => AckCode::AR,
            (Mode::Enhanced, Accepted) => AckCode::CA,
            (Mode::Enhanced, HeaderNotAccepted | Unreadable) => AckCode::CR,
            (Mode::Enhanced, Content | TooLarge | NotStored) => AckCode::CE,
        })
    }
}

/// What to do on the connection once it is settled what becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Write this acknowledgement.
    Ack {
        /// MSA-1.
        code: AckCode,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Nothing is owed.
    NotOwed,
    /// Close the connection: nothing can be answered, and silence would be taken for success.
    Close,
}

impl Reply {
    /// MSA-1.
    pub const fn code(&self) -> Option<AckCode> {
        match self {
            Self::Ack { code, .. } => Some(*code),
            Self::NotOwed | Self::Close => None,
        }
    }

    /// MSA-1 as records have it: empty where nothing is answered.
    pub fn code_text(&self) -> String {
        self.code().map(|code| code.as_str().to_owned()).unwrap_or_default()
    }

    /// The acknowledgement.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Ack { bytes, .. } => Some(bytes),
            Self::NotOwed | Self::Close => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of: accepted, header not accepted, content, unreadable, too large, not stored.
    fn codes(rule: AckMode, commit: &str, application: &str) -> String {
        let text = format!("MSH|^~\\&|A|B|C|D|2026||ADT^A01|7|P|2.5|||{commit}|{application}");
        codes_of(rule, Header::parse(text.as_bytes()).ok().as_ref())
    }

    fn codes_of(rule: AckMode, header: Option<&Header<'_>>) -> String {
        use Found::{Accepted, Content, HeaderNotAccepted, NotStored, TooLarge, Unreadable};
        let owed = Owed::of(rule, header);
        let all = [Accepted, HeaderNotAccepted, Content, Unreadable, TooLarge, NotStored];
        let shown = all.map(|found| owed.code(found).map_or("-", AckCode::as_str));
        shown.join(" ")
    }

    #[test]
    fn every_combination_of_msh_15_and_16() {
        const ORIGINAL: &str = "AA AR AE AR AR AR";
        const ENHANCED: &str = "CA CR CE CR CE CE";
        const ON_ERROR: &str = "- CR CE CR CE CE";
        const ON_SUCCESS: &str = "CA - - - - -";
        const NOTHING: &str = "- - - - - -";
        use AckMode::{AsSent, Enhanced, Original, Strict};
        // MSH-15, MSH-16, as-sent, strict
        let table = [
            ("", "", ORIGINAL, ORIGINAL),
            ("\"\"", "\"\"", ORIGINAL, ORIGINAL),
            ("AL", "NE", ENHANCED, ENHANCED),
            ("AL", "AL", ENHANCED, ENHANCED),
            ("AL", "ER", ENHANCED, ENHANCED),
            ("AL", "", ENHANCED, ENHANCED),
            ("NE", "AL", NOTHING, NOTHING),
            ("NE", "ER", NOTHING, NOTHING),
            ("NE", "SU", NOTHING, NOTHING),
            ("ER", "NE", ON_ERROR, ON_ERROR),
            ("ER", "AL", ON_ERROR, ON_ERROR),
            ("ER", "", ON_ERROR, ON_ERROR),
            ("SU", "NE", ON_SUCCESS, ON_SUCCESS),
            ("SU", "ER", ON_SUCCESS, ON_SUCCESS),
            ("NE", "NE", ORIGINAL, NOTHING),
            ("NE", "", ORIGINAL, NOTHING),
            ("", "NE", ORIGINAL, ORIGINAL),
            ("", "AL", ORIGINAL, ORIGINAL),
            ("", "ER", ORIGINAL, ORIGINAL),
            ("ACCEPT", "ACKNOWLEDGE", ENHANCED, ENHANCED),
        ];
        for (commit, application, as_sent, strict) in table {
            assert_eq!(codes(AsSent, commit, application), as_sent, "as-sent {commit}/{application}");
            assert_eq!(codes(Strict, commit, application), strict, "strict {commit}/{application}");
            assert_eq!(codes(Original, commit, application), ORIGINAL, "original {commit}/{application}");
            assert_eq!(codes(Enhanced, commit, application), ENHANCED, "enhanced {commit}/{application}");
        }
        assert_eq!(codes_of(AsSent, None), ORIGINAL);
        assert_eq!(codes_of(Enhanced, None), ENHANCED);
        for rule in [AsSent, Strict, Original, Enhanced] {
            let ack = Header::parse(b"MSH|^~\\&|A|B|C|D|2026||ACK^A01|7|P|2.5|||AL|AL").unwrap();
            assert_eq!(codes_of(rule, Some(&ack)), NOTHING, "an acknowledgement, {rule:?}");
        }
    }
}
