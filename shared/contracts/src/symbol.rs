//! Enum symbols of a newer writer.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor},
};

/// Reads a symbol; one that this version does not know becomes the default, as Avro's own resolution would have it.
///
/// serde's `#[serde(other)]` cannot do it: it demands the last variant, and the order of ours is the rank of the join.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    deserializer.deserialize_enum("", &[], Symbol(PhantomData))
}

struct Symbol<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Symbol<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a symbol")
    }

    fn visit_str<E: de::Error>(self, symbol: &str) -> Result<T, E> {
        Ok(T::deserialize(symbol.into_deserializer()).unwrap_or_else(|_: E| T::default()))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<T, A::Error> {
        let (symbol, unit) = data.variant_seed(self)?;
        unit.unit_variant()?;
        Ok(symbol)
    }
}

impl<'de, T: Deserialize<'de> + Default> DeserializeSeed<'de> for Symbol<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}
