//! HL7 v2 data types as FHIR data types. Absent, empty and `""` all become nothing here.

use smol_str::{SmolStr, format_smolstr};
use waybill_contracts::{
    Phi,
    fhir::{CodeableConcept, Coding, Identifier, Period},
};
use waybill_hl7v2::{Charset, Component, Dtm, Field, Repetition, Subcomponent};

use super::codes;

/// How the values of one message are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    /// Character set of the message.
    pub(crate) charset: Charset,
    /// Offset from UTC, in minutes, of times that were sent without one.
    pub(crate) utc_offset: i16,
}

/// What has a value as text: all levels of a field.
pub(crate) trait Value {
    /// The value, unescaped and decoded, without blanks around it.
    fn read(&self, reading: &Reading) -> Option<SmolStr>;
}

macro_rules! value {
    ($($level:ident),*) => {
        $(impl Value for $level<'_> {
            fn read(&self, reading: &Reading) -> Option<SmolStr> {
                let text = self.text(&reading.charset)?;
                let text = text.trim();
                // A null beside blanks is a null all the same.
                (!text.is_empty() && text != "\"\"").then(|| SmolStr::new(text))
            }
        })*
    };
}
value!(Repetition, Component, Subcomponent);

impl Value for Field<'_> {
    /// Of the first repetition only: a repetition nobody expects is ignored (HL7 v2 §2.5.2).
    fn read(&self, reading: &Reading) -> Option<SmolStr> {
        self.repetition(1).read(reading)
    }
}

/// The leaf of component `number`: the first subcomponent, as for a type without any.
pub(crate) fn leaf<'a>(whole: &Repetition<'a>, number: usize) -> Subcomponent<'a> {
    whole.component(number).subcomponent(1)
}

/// The first component of a field whose type has one that matters (IS, ID, TS …).
pub(crate) fn code(field: &Field<'_>, reading: &Reading) -> Option<SmolStr> {
    leaf(&field.repetition(1), 1).read(reading)
}

/// Text that identifies a person.
pub(crate) fn phi(value: &impl Value, reading: &Reading) -> Option<Phi<SmolStr>> {
    value.read(reading).map(Phi::new)
}

/// TS, DTM, DT: FHIR `dateTime` in the precision that was sent; `None` when it is no date of the calendar.
pub(crate) fn date_time(field: &Field<'_>, reading: &Reading) -> Option<Phi<SmolStr>> {
    moment(leaf(&field.repetition(1), 1).raw(), reading).map(Phi::new)
}

/// The same from raw bytes.
pub(crate) fn moment(raw: &[u8], reading: &Reading) -> Option<SmolStr> {
    Dtm::parse(raw).map(|dtm| dtm.to_fhir(Some(reading.utc_offset)).into())
}

/// TS, DTM, DT: FHIR `date`; a time of day is left out.
pub(crate) fn date(field: &Field<'_>) -> Option<Phi<SmolStr>> {
    let dtm = Dtm::parse(leaf(&field.repetition(1), 1).raw())?;
    Some(Phi::new(dtm.to_fhir_date().into()))
}

/// A period, when either end is known.
pub(crate) fn period(start: Option<Phi<SmolStr>>, end: Option<Phi<SmolStr>>) -> Option<Period> {
    (start.is_some() || end.is_some()).then_some(Period { start, end })
}

/// DR: from component 1 to component 2.
pub(crate) fn range(whole: &Repetition<'_>, reading: &Reading) -> Option<Period> {
    let end = |number| moment(leaf(whole, number).raw(), reading).map(Phi::new);
    period(end(1), end(2))
}

/// CE, CWE, CNE, CF: codings in the order sent, the text from the original text, else from the first display.
pub(crate) fn concept(whole: &Repetition<'_>, reading: &Reading) -> Option<CodeableConcept> {
    if whole.is_absent() {
        return None;
    }
    // Not the first subcomponent: an ampersand that nobody escaped is part of the text.
    let part = |number| whole.component(number).read(reading);
    let mut concept = CodeableConcept::default();
    // Code, text, system; the alternate three; the second alternate three (CWE-10 to 12, since 2.7). The system's object
    // identifier (CWE-14, 17 and 20) counts where it has no name.
    for (first, oid) in [(1, 14), (4, 17), (10, 20)] {
        let (code, display) = (part(first), part(first + 1));
        if concept.text.is_none() {
            concept.text.clone_from(&display);
        }
        if code.is_some() {
            let named = part(first + 2).map(|name| codes::code_system(&name));
            let system = named.or_else(|| part(oid).map(|oid| codes::code_system_of_oid(&oid)));
            concept.coding.push(Coding { system, code, display });
        }
    }
    if let Some(original) = part(9) {
        concept.text = Some(original);
    }
    (!concept.coding.is_empty() || concept.text.is_some()).then_some(concept)
}

/// A CWE, or an IS of which only the code was sent: then in the table the field is bound to.
pub(crate) fn concept_of(field: &Field<'_>, table: &str, reading: &Reading) -> Option<CodeableConcept> {
    let mut concept = concept(&field.repetition(1), reading)?;
    for coding in &mut concept.coding {
        if coding.system.is_none() {
            coding.system = Some(codes::code_system(table));
        }
    }
    Some(concept)
}

/// What is made of the repetitions of a field, in order.
pub(crate) fn each<'a, T>(field: &Field<'a>, make: impl FnMut(Repetition<'a>) -> Option<T>) -> Vec<T> {
    // Nearly always one or none; collecting would make room for four, a kilobyte of most of these types.
    let mut made = Vec::with_capacity(field.repetitions().take(4).count());
    made.extend(field.repetitions().filter_map(make));
    made
}

/// All repetitions of a field as concepts.
pub(crate) fn concepts(field: &Field<'_>, reading: &Reading) -> Vec<CodeableConcept> {
    each(field, |whole| concept(&whole, reading))
}

/// Whose numbers an identifier is of: the universal id of an HD, and the name that the sender has for it.
///
/// The id goes before the name, which is unique only where it is spoken; where there is an id the name stands beside it.
#[derive(Default)]
pub(crate) struct Authority {
    /// Identifier.system.
    pub(crate) system: Option<SmolStr>,
    /// Identifier.assigner: HD-1, where it is not the system.
    pub(crate) assigner: Option<SmolStr>,
}

impl Authority {
    /// HD, in the subcomponents of a component.
    pub(crate) fn hd(hd: &Component<'_>, reading: &Reading) -> Self {
        Self::of([1, 2, 3].map(|number| hd.subcomponent(number).read(reading)))
    }

    /// Namespace, universal id and its type.
    fn of([namespace, id, kind]: [Option<SmolStr>; 3]) -> Self {
        let Some(id) = id else { return Self { system: namespace, assigner: None } };
        let system = match kind.as_deref() {
            // Some senders write the whole URN.
            _ if id.starts_with("urn:") => id,
            Some("ISO") => format_smolstr!("urn:oid:{id}"),
            Some("UUID" | "GUID") => format_smolstr!("urn:uuid:{}", id.to_ascii_lowercase()),
            _ => id,
        };
        Self { system: Some(system), assigner: namespace }
    }

    /// As a name without universal id.
    pub(crate) fn named(system: Option<SmolStr>) -> Self {
        Self { system, assigner: None }
    }
}

/// CX: an identifier; `default_authority` where CX-4 is empty, `default_type` where CX-5 is.
pub(crate) fn identifier(
    whole: &Repetition<'_>,
    default_type: Option<&str>,
    default_authority: Option<&str>,
    reading: &Reading,
) -> Option<Identifier> {
    let value = leaf(whole, 1).read(reading)?;
    let kind = leaf(whole, 5).read(reading).or_else(|| default_type.map(SmolStr::from));
    let mut authority = Authority::hd(&whole.component(4), reading);
    authority.system = authority.system.or_else(|| default_authority.map(SmolStr::from));
    let r#use = kind.as_deref().and_then(codes::identifier_use).map(SmolStr::new_static);
    let Authority { system, assigner } = authority;
    Some(Identifier { r#use, r#type: kind, system, value: Phi::new(value), assigner })
}

/// An entity's number under its authority, as EI has it: number, namespace, universal id, its type.
fn numbered(kind: &str, parts: impl Fn(usize) -> Option<SmolStr>) -> Option<Identifier> {
    let value = parts(1)?;
    let Authority { system, assigner } = Authority::of([2, 3, 4].map(parts));
    let kind = (!kind.is_empty()).then(|| kind.into());
    Some(Identifier { r#use: None, r#type: kind, system, value: Phi::new(value), assigner })
}

/// All repetitions of a CX field as identifiers.
pub(crate) fn identifiers(
    field: &Field<'_>,
    default_type: Option<&str>,
    default_authority: Option<&str>,
    reading: &Reading,
) -> Vec<Identifier> {
    each(field, |whole| identifier(&whole, default_type, default_authority, reading))
}

/// EI: an entity's number, such as an order number.
pub(crate) fn entity(field: &Field<'_>, kind: &str, reading: &Reading) -> Option<Identifier> {
    let whole = field.repetition(1);
    numbered(kind, |number| leaf(&whole, number).read(reading))
}

/// EIP component (placer or filler) of SPM-2, OBR-29: entity in subcomponents.
pub(crate) fn paired_entity(part: &Component<'_>, kind: &str, reading: &Reading) -> Option<Identifier> {
    numbered(kind, |number| part.subcomponent(number).read(reading))
}
