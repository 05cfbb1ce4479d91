//! The version of the standard a message claims, MSH-12.1.

/// A version such as 2.5.1. Versions compare in their natural order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Always 2 in practice.
    pub major: u8,
    /// 1 to 9.
    pub minor: u8,
    /// 0 where none is given.
    pub patch: u8,
}

impl Version {
    /// The first version whose MSH-9 has a third component.
    pub const V2_3_1: Self = Self { major: 2, minor: 3, patch: 1 };
    /// The first version whose ERR segment has ERR-2 and following.
    pub const V2_5: Self = Self { major: 2, minor: 5, patch: 0 };

    /// Reads `2.5` or `2.5.1`; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.trim_ascii().split(|byte| *byte == b'.').map(number);
        let (major, minor) = (parts.next()??, parts.next()??);
        let patch = parts.next().map_or(Some(0), |part| part)?;
        parts.next().is_none().then_some(Self { major, minor, patch })
    }
}

fn number(digits: &[u8]) -> Option<u8> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !all_digits {
        return None;
    }
    digits.iter().try_fold(0_u8, |sum, digit| sum.checked_mul(10)?.checked_add(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let version = |text: &str| Version::parse(text.as_bytes());
        assert_eq!(version("2.5.1"), Some(Version { major: 2, minor: 5, patch: 1 }));
        assert_eq!(version("2.5"), Some(Version::V2_5));
        assert!(version("2.3") < version("2.3.1") && version("2.3.1") < version("2.8"));
        for wrong in ["", "2", "2.", "2.5.1.1", "2.x", "2.999", "V2.5"] {
            assert_eq!(version(wrong), None, "{wrong}");
        }
    }
}
