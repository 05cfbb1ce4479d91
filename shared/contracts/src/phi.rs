//! Patient data that cannot reach a log by accident.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A value that can identify a person (45 CFR 164.514(b)(2)).
///
/// There is no `Display`, and `Debug` prints `[phi]`: a value gets out only by [`Phi::expose`], which is easy to
/// search for, or by serialization into the record it belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the record, the receiver, or a comparison; never for a log, trace, metric or error.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Takes the value out; the rule of [`Phi::expose`] goes with it.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Phi<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl From<&str> for Phi<SmolStr> {
    fn from(value: &str) -> Self {
        Self(value.into())
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phi]")
    }
}

#[cfg(test)]
mod tests {
    use super::Phi;

    #[test]
    fn debug_hides_the_value() {
        assert_eq!(format!("{:?}", Phi::new("Müller")), "[phi]");
    }
}
