//! Data types (R4 §2.24), with the elements that events carry.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    date::DateTime,
    json::{Decimal, List, Text},
};

/// Declares readers: camelCase, every element optional, texts borrowed.
macro_rules! element {
    ($($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident : $ty:ty),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(remote = "Self", rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
        pub struct $name<'a> {
            $($(#[$fmeta])* pub $field: $ty,)*
            #[serde(skip)]
            #[doc(hidden)]
            pub borrowed: std::marker::PhantomData<&'a ()>,
        }
        $crate::json::only_objects!($name);
    )* };
}
pub(crate) use element;

/// An optional text.
pub type OptText<'a> = Option<Text<'a>>;
/// A list of texts; `null` stands for one that has only extensions.
pub type Texts<'a> = List<Option<Text<'a>>>;

element! {
    /// Coding.
    Coding {
        /// Code system.
        system: OptText<'a>,
        /// Code.
        code: OptText<'a>,
        /// Text of the system.
        display: OptText<'a>,
    }
    /// CodeableConcept.
    CodeableConcept {
        /// Codings.
        coding: List<Coding<'a>>,
        /// Text.
        text: OptText<'a>,
    }
    /// Identifier.
    Identifier {
        /// usual | official | temp | secondary | old.
        r#use: OptText<'a>,
        /// Kind of identifier.
        r#type: Option<CodeableConcept<'a>>,
        /// Namespace.
        system: OptText<'a>,
        /// Value.
        value: OptText<'a>,
        /// Organization that issued it.
        assigner: Option<Assigner<'a>>,
    }
    /// Identifier.assigner: a Reference of which only the text is read, and no identifier within an identifier.
    Assigner {
        /// Text.
        display: OptText<'a>,
    }
    /// Reference.
    Reference {
        /// Literal or conditional reference.
        reference: OptText<'a>,
        /// Resource type.
        r#type: OptText<'a>,
        /// Logical reference.
        identifier: Option<Identifier<'a>>,
        /// Text.
        display: OptText<'a>,
    }
    /// HumanName.
    HumanName {
        /// Use.
        r#use: OptText<'a>,
        /// The whole.
        text: OptText<'a>,
        /// Family name.
        family: OptText<'a>,
        /// Given names.
        given: Texts<'a>,
        /// Prefixes.
        prefix: Texts<'a>,
        /// Suffixes.
        suffix: Texts<'a>,
    }
    /// Address.
    Address {
        /// Use.
        r#use: OptText<'a>,
        /// The whole.
        text: OptText<'a>,
        /// Street.
        line: Texts<'a>,
        /// City.
        city: OptText<'a>,
        /// County.
        district: OptText<'a>,
        /// State.
        state: OptText<'a>,
        /// Postal code.
        postal_code: OptText<'a>,
        /// Country.
        country: OptText<'a>,
    }
    /// ContactPoint.
    ContactPoint {
        /// phone | fax | email …
        system: OptText<'a>,
        /// home | work …
        r#use: OptText<'a>,
        /// Number or address.
        value: OptText<'a>,
    }
    /// Period.
    Period {
        /// Start.
        start: Option<DateTime<'a>>,
        /// End.
        end: Option<DateTime<'a>>,
    }
    /// Quantity, and the types made of it.
    Quantity {
        /// Value.
        value: Option<Decimal<'a>>,
        /// < | <= | >= | >.
        comparator: OptText<'a>,
        /// Unit as text.
        unit: OptText<'a>,
        /// System of the unit's code.
        system: OptText<'a>,
        /// Unit's code.
        code: OptText<'a>,
    }
    /// Range.
    Range {
        /// Low.
        low: Option<Quantity<'a>>,
        /// High.
        high: Option<Quantity<'a>>,
    }
    /// Ratio.
    Ratio {
        /// Numerator.
        numerator: Option<Quantity<'a>>,
        /// Denominator.
        denominator: Option<Quantity<'a>>,
    }
    /// Money.
    Money {
        /// Amount.
        value: Option<Decimal<'a>>,
        /// ISO 4217.
        currency: OptText<'a>,
    }
    /// Annotation.
    Annotation {
        /// Text.
        text: OptText<'a>,
    }
    /// Extension, with the values that are read.
    Extension {
        /// Which one.
        url: OptText<'a>,
        /// Extensions inside.
        extension: List<Extension<'a>>,
        /// `valueString`.
        value_string: OptText<'a>,
        /// `valueCode`.
        value_code: OptText<'a>,
        /// `valueCoding`.
        value_coding: Option<Coding<'a>>,
        /// `valueCodeableConcept`.
        value_codeable_concept: Option<CodeableConcept<'a>>,
    }
}

element! {
    /// Attachment; its data is never read, only measured.
    Attachment {
        /// MIME type.
        content_type: OptText<'a>,
        /// Title.
        title: OptText<'a>,
        /// Bytes, as stated.
        size: Option<u64>,
        /// Where it can be fetched.
        url: OptText<'a>,
        /// Base64, as a JSON text with its quotes.
        data: Option<&'a RawValue>,
    }
}

impl Attachment<'_> {
    /// Bytes: as stated, else what the base64 text decodes to.
    pub fn bytes(&self) -> u64 {
        let decoded = || {
            let data = self.data.map_or("", |raw| raw.get().trim_matches('"'));
            let digits =
                data.bytes().filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
            digits.count() as u64 * 3 / 4
        };
        self.size.unwrap_or_else(decoded)
    }
}

impl Coding<'_> {
    /// Of this system, with this code.
    pub fn is(&self, system: &str, code: &str) -> bool {
        self.system.as_deref() == Some(system) && self.code.as_deref() == Some(code)
    }
}
