//! People, places, and appointments (R4 modules Administration and Exchange).

use serde::Deserialize;

use super::{Resource, Rules};
use crate::{
    date::{Date, DateTime},
    json::List,
    types::{
        Address, CodeableConcept, Coding, ContactPoint, Extension, HumanName, Identifier, OptText, Period,
        Reference, element,
    },
};

/// Value set administrative-gender.
pub(super) const GENDER: &[&str] = &["male", "female", "other", "unknown"];

element! {
    /// Patient.
    Patient {
        /// Logical id.
        id: OptText<'a>,
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// In use.
        active: Option<bool>,
        /// Names.
        name: List<HumanName<'a>>,
        /// Telecoms.
        telecom: List<ContactPoint<'a>>,
        /// Gender.
        gender: OptText<'a>,
        /// Date of birth.
        birth_date: Option<Date<'a>>,
        /// Dead.
        deceased_boolean: Option<bool>,
        /// Died.
        deceased_date_time: Option<DateTime<'a>>,
        /// Addresses.
        address: List<Address<'a>>,
        /// Marital status.
        marital_status: Option<CodeableConcept<'a>>,
        /// Twin.
        multiple_birth_boolean: Option<bool>,
        /// Order of birth.
        multiple_birth_integer: Option<i32>,
        /// Contacts.
        contact: List<Contact<'a>>,
        /// Languages.
        communication: List<Communication<'a>>,
        /// Other records of the same person.
        link: List<Link<'a>>,
        /// Extensions: race and ethnicity of US Core.
        extension: List<Extension<'a>>,
    }
    /// Patient.contact.
    Contact {
        /// Relationship.
        relationship: List<CodeableConcept<'a>>,
        /// Name.
        name: Option<HumanName<'a>>,
        /// Telecoms.
        telecom: List<ContactPoint<'a>>,
        /// Address.
        address: Option<Address<'a>>,
        /// Gender.
        gender: OptText<'a>,
    }
    /// Patient.communication.
    Communication {
        /// Language.
        language: Option<CodeableConcept<'a>>,
    }
    /// Patient.link.
    Link {
        /// The other record.
        other: Option<Reference<'a>>,
        /// replaced-by | replaces | refer | seealso.
        r#type: OptText<'a>,
    }
    /// Practitioner.
    Practitioner {
        /// Identifiers, the NPI among them.
        identifier: List<Identifier<'a>>,
        /// Names.
        name: List<HumanName<'a>>,
    }
    /// PractitionerRole.
    PractitionerRole {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Who.
        practitioner: Option<Reference<'a>>,
        /// Where.
        organization: Option<Reference<'a>>,
    }
    /// RelatedPerson.
    RelatedPerson {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Relationship to the patient.
        relationship: List<CodeableConcept<'a>>,
        /// Names.
        name: List<HumanName<'a>>,
        /// Telecoms.
        telecom: List<ContactPoint<'a>>,
        /// Gender.
        gender: OptText<'a>,
        /// Date of birth.
        birth_date: Option<Date<'a>>,
        /// Addresses.
        address: List<Address<'a>>,
    }
    /// Organization.
    Organization {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Name.
        name: OptText<'a>,
        /// Telecoms.
        telecom: List<ContactPoint<'a>>,
        /// Addresses.
        address: List<Address<'a>>,
        /// Contacts.
        contact: List<OrganizationContact<'a>>,
    }
    /// Organization.contact.
    OrganizationContact {
        /// Telecoms.
        telecom: List<ContactPoint<'a>>,
    }
    /// Location.
    Location {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Name.
        name: OptText<'a>,
        /// Building, ward, room, bed …
        physical_type: Option<CodeableConcept<'a>>,
        /// What it is a part of.
        part_of: Option<Reference<'a>>,
        /// Whose.
        managing_organization: Option<Reference<'a>>,
    }
    /// Appointment.
    Appointment {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Status.
        status: OptText<'a>,
        /// Why it was cancelled.
        cancelation_reason: Option<CodeableConcept<'a>>,
        /// Services.
        service_type: List<CodeableConcept<'a>>,
        /// Specialties.
        specialty: List<CodeableConcept<'a>>,
        /// Kind.
        appointment_type: Option<CodeableConcept<'a>>,
        /// Reasons.
        reason_code: List<CodeableConcept<'a>>,
        /// Reasons as resources.
        reason_reference: List<Reference<'a>>,
        /// Priority, 0 or more.
        priority: Option<u32>,
        /// Subject line.
        description: OptText<'a>,
        /// Start.
        start: Option<DateTime<'a>>,
        /// End.
        end: Option<DateTime<'a>>,
        /// Minutes.
        minutes_duration: Option<i32>,
        /// When it was made.
        created: Option<DateTime<'a>>,
        /// Comment.
        comment: OptText<'a>,
        /// Who and where.
        participant: List<AppointmentParticipant<'a>>,
    }
    /// Appointment.participant.
    AppointmentParticipant {
        /// Role.
        r#type: List<CodeableConcept<'a>>,
        /// Who or where.
        actor: Option<Reference<'a>>,
        /// accepted | declined | tentative | needs-action.
        status: OptText<'a>,
    }
    /// MessageHeader.
    MessageHeader {
        /// Logical id: what an answer refers to.
        id: OptText<'a>,
        /// Event.
        event_coding: Option<Coding<'a>>,
        /// Event.
        event_uri: OptText<'a>,
        /// Sender.
        source: Option<MessageSource<'a>>,
    }
    /// MessageHeader.source.
    MessageSource {
        /// Name of the system.
        name: OptText<'a>,
        /// Address of the system.
        endpoint: OptText<'a>,
    }
}

impl<'a> Resource<'a> for Patient<'a> {
    const TYPE: &'static str = "Patient";
    fn rules(&self, rules: &mut Rules<'_>) {
        rules.code(self.gender.as_ref(), GENDER, "gender");
        rules.one_of(&[self.deceased_boolean.is_some(), self.deceased_date_time.is_some()], "deceased");
        rules.one_of(
            &[self.multiple_birth_boolean.is_some(), self.multiple_birth_integer.is_some()],
            "multipleBirth",
        );
        for (at, link) in self.link.iter().enumerate() {
            rules.required(link.other.is_some(), &format!("link[{at}].other"));
            rules.required(link.r#type.is_some(), &format!("link[{at}].type"));
            let set = &["replaced-by", "replaces", "refer", "seealso"];
            rules.code(link.r#type.as_ref(), set, &format!("link[{at}].type"));
        }
        for (at, contact) in self.contact.iter().enumerate() {
            rules.code(contact.gender.as_ref(), GENDER, &format!("contact[{at}].gender"));
        }
        for (at, communication) in self.communication.iter().enumerate() {
            rules.required(communication.language.is_some(), &format!("communication[{at}].language"));
        }
    }
}

impl<'a> Resource<'a> for Practitioner<'a> {
    const TYPE: &'static str = "Practitioner";
    fn rules(&self, _: &mut Rules<'_>) {}
}

impl<'a> Resource<'a> for PractitionerRole<'a> {
    const TYPE: &'static str = "PractitionerRole";
    fn rules(&self, _: &mut Rules<'_>) {}
}

impl<'a> Resource<'a> for RelatedPerson<'a> {
    const TYPE: &'static str = "RelatedPerson";
    fn rules(&self, rules: &mut Rules<'_>) {
        rules.code(self.gender.as_ref(), GENDER, "gender");
    }
}

impl<'a> Resource<'a> for Organization<'a> {
    const TYPE: &'static str = "Organization";
    fn rules(&self, _: &mut Rules<'_>) {}
}

impl<'a> Resource<'a> for Location<'a> {
    const TYPE: &'static str = "Location";
    fn rules(&self, _: &mut Rules<'_>) {}
}

impl<'a> Resource<'a> for Appointment<'a> {
    const TYPE: &'static str = "Appointment";
    fn rules(&self, rules: &mut Rules<'_>) {
        let set = &[
            "proposed",
            "pending",
            "booked",
            "arrived",
            "fulfilled",
            "cancelled",
            "noshow",
            "entered-in-error",
            "checked-in",
            "waitlist",
        ];
        rules.status(self.status.as_ref(), set);
        rules.required(!self.participant.is_empty(), "participant");
        let period = Period { start: self.start.clone(), end: self.end.clone(), ..Period::default() };
        rules.period(Some(&period), "end");
    }
}

impl<'a> Resource<'a> for MessageHeader<'a> {
    const TYPE: &'static str = "MessageHeader";
    fn rules(&self, rules: &mut Rules<'_>) {
        rules.required(self.event_coding.is_some() || self.event_uri.is_some(), "event");
        rules.one_of(&[self.event_coding.is_some(), self.event_uri.is_some()], "event");
        rules.required(
            self.source.as_ref().is_some_and(|source| source.endpoint.is_some()),
            "source.endpoint",
        );
    }
}
