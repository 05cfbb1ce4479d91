//! One patient's demographics from its events.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use waybill_contracts::{
    EventId, Phi,
    clinical::{Coverage, Guarantor, PatientEvent},
    fhir::{
        Address, CodeableConcept, ContactPoint, HumanName, Identifier, Patient, PatientContact, PatientLink,
    },
};

use crate::{
    join::{Join, Register},
    key::Name,
    stamp::Stamp,
};

macro_rules! demographics {
    ($($(#[$meta:meta])* $field:ident : $ty:ty),* $(,)?) => {
        /// What is known of one patient under one identifier: of each field the latest word.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct PatientState {
            identifier: Register<Vec<Identifier>>,
            coverage: Register<Vec<Coverage>>,
            guarantor: Register<Vec<Guarantor>>,
            $($field: Register<$ty>,)*
        }

        impl PatientState {
            /// Adds what an event says; the same event again changes nothing.
            pub fn apply(&mut self, id: EventId, event: &PatientEvent) {
                // Of the two events of a merge the survivor's is the later one.
                let stamp = Stamp::new(&event.source, id, u8::from(event.patient.active));
                self.identifier.write(stamp, &event.patient.identifier, false);
                self.coverage.write(stamp, &event.coverage, false);
                self.guarantor.write(stamp, &event.guarantor, false);
                $(self.$field.write(stamp, &event.patient.$field, false);)*
            }

            /// The demographics; whether the patient is active and what it is linked to depends on merges.
            pub(crate) fn patient(&self) -> Patient {
                Patient {
                    identifier: self.identifier.get().clone(),
                    active: true,
                    $($field: self.$field.get().clone(),)*
                    ..Patient::default()
                }
            }

            /// Adds what is known under an identifier that this one has replaced: all but the identifiers.
            pub(crate) fn absorb(&mut self, replaced: &Self) {
                self.coverage.join(&replaced.coverage);
                self.guarantor.join(&replaced.guarantor);
                $(self.$field.join(&replaced.$field);)*
            }
        }

        impl Join for PatientState {
            fn join(&mut self, other: &Self) {
                self.identifier.join(&other.identifier);
                self.absorb(other);
            }
        }
    };
}

demographics! {
    name: Vec<HumanName>,
    telecom: Vec<ContactPoint>,
    gender: Option<SmolStr>,
    birth_date: Option<Phi<SmolStr>>,
    deceased_date_time: Option<Phi<SmolStr>>,
    deceased_boolean: Option<bool>,
    address: Vec<Address>,
    marital_status: Option<Phi<CodeableConcept>>,
    communication: Vec<CodeableConcept>,
    race: Vec<Phi<CodeableConcept>>,
    ethnicity: Vec<Phi<CodeableConcept>>,
    multiple_birth_boolean: Option<bool>,
    multiple_birth_integer: Option<i32>,
    contact: Vec<PatientContact>,
}

/// A patient after all merges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demographics {
    /// What the patient is known by: the survivor's identifier, whichever was asked for.
    pub name: Name,
    /// The patient; of the survivor's record, with what was said later under identifiers that it has replaced.
    pub patient: Patient,
    /// Coverages of the person.
    pub coverage: Vec<Coverage>,
    /// Guarantors of the person.
    pub guarantor: Vec<Guarantor>,
    /// The identifiers that it has replaced.
    pub replaced: Vec<Name>,
}

impl Demographics {
    pub(crate) fn new(name: Name, state: &PatientState, replaced: Vec<Name>) -> Self {
        let mut patient = state.patient();
        patient.link = replaced
            .iter()
            .map(|other| PatientLink {
                r#type: SmolStr::new_static("replaces"),
                other: vec![Identifier {
                    system: other.system.clone(),
                    value: other.value.clone(),
                    ..Identifier::default()
                }],
            })
            .collect();
        let (coverage, guarantor) = (state.coverage.get().clone(), state.guarantor.get().clone());
        Self { name, patient, coverage, guarantor, replaced }
    }
}
