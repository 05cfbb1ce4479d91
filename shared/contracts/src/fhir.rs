//! The FHIR R4 (4.0.1) structures that events carry, under FHIR's own names.
//!
//! Each mirrors a record of `schemas/*.avsc`. Dates are FHIR `dateTime` text in the precision that was sent.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::phi::Phi;

/// Declares records whose fields are camelCase on the wire and default to the schema's default.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty),* }
    };
}
pub(crate) use record;

type Text = Option<SmolStr>;
type PhiText = Option<Phi<SmolStr>>;

record! {
    /// A code in a system.
    Coding {
        /// Code system: a URI, or the HL7 v2 table or coding system name as sent.
        system: Text,
        /// Symbol in the system.
        code: Text,
        /// Text the system gives the code.
        display: Text,
    }
}

record! {
    /// A concept by codings and text.
    CodeableConcept {
        /// Codings, the sender's own first.
        coding: Vec<Coding>,
        /// Text as sent.
        text: Text,
    }
}

record! {
    /// An identifier with its authority.
    Identifier {
        /// usual | official | temp | secondary | old.
        r#use: Text,
        /// HL7 table 0203 code, such as MR, VN or SS.
        r#type: Text,
        /// Assigning authority: an OID or URI, else the namespace id.
        system: Text,
        /// The identifier itself.
        value: Phi<SmolStr>,
        /// What the sender calls the authority, where `system` is its universal id (HD-1; FHIR Identifier.assigner.display).
        assigner: Text,
    }
}

record! {
    /// A person's name.
    HumanName {
        /// official | usual | maiden | nickname | anonymous | temp | old.
        r#use: Text,
        /// Family name.
        family: PhiText,
        /// Given and middle names in order.
        given: Vec<Phi<SmolStr>>,
        /// Prefixes.
        prefix: Vec<Phi<SmolStr>>,
        /// Suffixes.
        suffix: Vec<Phi<SmolStr>>,
    }
}

record! {
    /// A postal address.
    Address {
        /// home | work | temp | old | billing.
        r#use: Text,
        /// Street lines.
        line: Vec<Phi<SmolStr>>,
        /// City.
        city: PhiText,
        /// County.
        district: PhiText,
        /// State or province.
        state: PhiText,
        /// Postal code.
        postal_code: PhiText,
        /// Country.
        country: PhiText,
    }
}

record! {
    /// A telephone number or the like.
    ContactPoint {
        /// phone | fax | email | pager | url | sms | other.
        system: Text,
        /// home | work | temp | old | mobile.
        r#use: Text,
        /// Number or address.
        value: Phi<SmolStr>,
    }
}

record! {
    /// A span of time, both ends inclusive.
    Period {
        /// Start.
        start: PhiText,
        /// End.
        end: PhiText,
    }
}

record! {
    /// A patient, as far as the events need one.
    Patient {
        /// All identifiers with their authorities (PID-3, PID-2, PID-4, PID-18, PID-19).
        identifier: Vec<Identifier>,
        /// False when merged away.
        #[serde(default = "truth")]
        active: bool,
        /// Names (PID-5, PID-9).
        name: Vec<HumanName>,
        /// Telecoms (PID-13, PID-14).
        telecom: Vec<ContactPoint>,
        /// male | female | other | unknown (PID-8).
        gender: Text,
        /// Date of birth (PID-7).
        birth_date: PhiText,
        /// Date of death (PID-29).
        deceased_date_time: PhiText,
        /// Dead or not, where no date is known (PID-30).
        deceased_boolean: Option<bool>,
        /// Addresses (PID-11).
        address: Vec<Address>,
        /// Marital status (PID-16).
        marital_status: Option<Phi<CodeableConcept>>,
        /// Languages (PID-15).
        communication: Vec<CodeableConcept>,
        /// Race (PID-10).
        race: Vec<Phi<CodeableConcept>>,
        /// Ethnicity (PID-22).
        ethnicity: Vec<Phi<CodeableConcept>>,
        /// Born as one of several (PID-24).
        multiple_birth_boolean: Option<bool>,
        /// Birth order (PID-25).
        multiple_birth_integer: Option<i32>,
        /// Next of kin and other contacts (NK1).
        contact: Vec<PatientContact>,
        /// What other record this one replaces, or is replaced by (MRG).
        link: Vec<PatientLink>,
    }
}

record! {
    /// Patient.contact.
    PatientContact {
        /// NK1-3, NK1-7.
        relationship: Vec<CodeableConcept>,
        /// NK1-2.
        name: Vec<HumanName>,
        /// NK1-5, NK1-6.
        telecom: Vec<ContactPoint>,
        /// NK1-4.
        address: Vec<Address>,
        /// NK1-15.
        gender: Text,
    }
}

record! {
    /// Patient.link: a merge has an event on both patients' keys.
    PatientLink {
        /// replaced-by | replaces | refer | seealso.
        r#type: SmolStr,
        /// Identifiers of the other record.
        other: Vec<Identifier>,
    }
}

record! {
    /// An amount of money; the value is decimal text so that its precision survives.
    Money {
        /// Decimal number as sent.
        value: SmolStr,
        /// ISO 4217, where sent.
        currency: Text,
    }
}

fn truth() -> bool {
    true
}

record! {
    /// A person who takes part.
    Practitioner {
        /// NPI or local id.
        identifier: Option<Identifier>,
        /// Name.
        name: Option<HumanName>,
        /// attender | referrer | consultant | admitter | performer | interpreter | orderer.
        role: Text,
    }
}
