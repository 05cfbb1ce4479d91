//! What of an encounter is simply the latest word: everything but status, place and end.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    clinical::{
        Coverage, Encounter, EncounterChange, EncounterDiagnosis, EncounterEvent, EncounterProcedure,
        Guarantor,
    },
    fhir::{CodeableConcept, Coding, Identifier, Patient, Practitioner},
    lab::Observation,
};

use crate::{
    join::{Join, Register},
    stamp::Stamp,
};

macro_rules! content {
    (encounter { $($field:ident : $ty:ty),* $(,)? } beside { $($beside:ident : $beside_ty:ty),* $(,)? }) => {
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub(super) struct Content {
            start: Register<Option<Phi<SmolStr>>>,
            $($field: Register<$ty>,)*
            $($beside: Register<$beside_ty>,)*
        }

        impl Content {
            pub(super) fn write(&mut self, stamp: Stamp, event: &EncounterEvent) {
                // A snapshot is the whole encounter: what it does not have, the encounter does not have.
                let whole = event.change == EncounterChange::Snapshot;
                let start = event.encounter.period.as_ref().and_then(|period| period.start.clone());
                self.start.write(stamp, &start, whole);
                $(self.$field.write(stamp, &event.encounter.$field, whole);)*
                $(self.$beside.write(stamp, &event.$beside, whole);)*
            }

            pub(super) fn encounter(&self) -> Encounter {
                Encounter { $($field: self.$field.get().clone(),)* ..Encounter::default() }
            }

            $(pub(super) fn $beside(&self) -> $beside_ty {
                self.$beside.get().clone()
            })*

            pub(super) fn start(&self) -> Option<Phi<SmolStr>> {
                self.start.get().clone()
            }
        }

        impl Join for Content {
            fn join(&mut self, other: &Self) {
                self.start.join(&other.start);
                $(self.$field.join(&other.$field);)*
                $(self.$beside.join(&other.$beside);)*
            }
        }
    };
}

content! {
    encounter {
        identifier: Vec<Identifier>,
        account: Option<Identifier>,
        class: Option<Coding>,
        r#type: Vec<CodeableConcept>,
        service_type: Option<CodeableConcept>,
        participant: Vec<Practitioner>,
        diagnosis: Vec<EncounterDiagnosis>,
        procedure: Vec<EncounterProcedure>,
        admit_source: Option<CodeableConcept>,
        financial_class: Option<SmolStr>,
        reason_code: Option<Phi<CodeableConcept>>,
        priority: Option<CodeableConcept>,
        pre_admit_number: Option<Identifier>,
        re_admission: Option<SmolStr>,
    }
    beside {
        patient: Patient,
        coverage: Vec<Coverage>,
        guarantor: Vec<Guarantor>,
        observation: Vec<Observation>,
    }
}
