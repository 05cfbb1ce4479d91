//! Values of a configuration that must not be seen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

/// Said when a secret stands in a configuration file as plain text. The configuration loader looks for it to know that
/// an environment override met a secret, which is a legitimate way to set one.
pub const SECRET_REFUSAL: &str = "a secret is not written into the configuration; \
     use { file = \"path\" } or { env = \"NAME\" }, or an environment override";

/// A configured secret: redacts itself wherever it is printed.
///
/// In a configuration it is a reference, `{ file = "/run/secrets/db" }` or `{ env = "DB_PASSWORD" }`, read when the
/// configuration is loaded. One line end at the end of a file does not belong to the secret.
/// It serializes as that reference, so that a printed configuration can be loaded again.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T = String> {
    value: T,
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Literal,
    File(String),
    Env(String),
}

impl<T> Secret<T> {
    /// A secret from the program itself: the password of a built-in default for the local stack, or a test's.
    pub const fn literal(value: T) -> Self {
        Self { value, source: Source::Literal }
    }

    /// The value, to hand it to the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.value
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, value) = match &self.source {
            Source::Literal => return serializer.serialize_str("[secret]"),
            Source::File(path) => ("file", path),
            Source::Env(name) => ("env", name),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, value)?;
        map.end()
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = deserializer.deserialize_any(ReferenceVisitor)?;
        let text = match &source {
            Source::File(path) => std::fs::read_to_string(path).map_err(|error| {
                de::Error::custom(format_args!("cannot read the secret file {path}: {error}"))
            })?,
            Source::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => {
                    de::Error::custom(format_args!("the environment variable {name} is not set"))
                }
                std::env::VarError::NotUnicode(_) => {
                    de::Error::custom(format_args!("the environment variable {name} is not valid UTF-8"))
                }
            })?,
            Source::Literal => return Err(de::Error::custom(SECRET_REFUSAL)),
        };
        let text =
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        // The parser's own error might quote the value.
        let value = text.parse().map_err(|_| de::Error::custom("the secret has the wrong form"))?;
        Ok(Self { value, source })
    }
}

struct ReferenceVisitor;

impl<'de> de::Visitor<'de> for ReferenceVisitor {
    type Value = Source;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ file = \"path\" } or { env = \"NAME\" }")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Source, A::Error> {
        let Some((key, value)) = map.next_entry::<String, String>()? else {
            return Err(de::Error::custom(SECRET_REFUSAL));
        };
        let source = match key.as_str() {
            "file" => Source::File(value),
            "env" => Source::Env(value),
            _ => return Err(de::Error::unknown_field(&key, &["file", "env"])),
        };
        match map.next_key::<String>()? {
            None => Ok(source),
            Some(_) => Err(de::Error::custom("a secret has one source: either file or env")),
        }
    }

    // A plain value is refused without being quoted, which serde's own type error would do.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Source, E> {
        Err(E::custom(SECRET_REFUSAL))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Source, E> {
        Err(E::custom(SECRET_REFUSAL))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Source, E> {
        Err(E::custom(SECRET_REFUSAL))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Source, E> {
        Err(E::custom(SECRET_REFUSAL))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Source, E> {
        Err(E::custom(SECRET_REFUSAL))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Source, A::Error> {
        Err(de::Error::custom(SECRET_REFUSAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Config {
        password: Secret,
    }

    #[test]
    fn shows_its_source_and_never_its_value() {
        // PATH is the one variable every test process has; unsafe `set_var` is not needed.
        let config: Config = toml::from_str("password = { env = \"PATH\" }").unwrap();
        let path = std::env::var("PATH").unwrap();
        assert_eq!(config.password.expose(), &path);
        assert_eq!(format!("{config:?}"), "Config { password: [secret] }");
        let printed = toml::to_string(&config).unwrap();
        assert!(!printed.contains(&path), "{printed}");
        assert_eq!(toml::from_str::<Config>(&printed).unwrap().password, config.password);
    }

    #[test]
    fn refuses_plain_values_without_quoting_them() {
        for plain in ["\"hunter2\"", "4711", "47.11", "true", "[\"hunter2\"]", "{}"] {
            let error =
                toml::from_str::<Config>(&format!("password = {plain}")).unwrap_err().message().to_owned();
            assert!(error.contains("a secret is not written"), "{plain}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("4711"), "{error}");
        }
    }

    #[test]
    fn names_a_missing_file_and_a_missing_variable() {
        let file = toml::from_str::<Config>("password = { file = \"no/such/file\" }").unwrap_err();
        assert!(file.message().contains("no/such/file"), "{file}");
        let env = toml::from_str::<Config>("password = { env = \"WAYBILL_NO_SUCH\" }").unwrap_err();
        assert!(env.message().contains("WAYBILL_NO_SUCH is not set"), "{env}");
    }
}
