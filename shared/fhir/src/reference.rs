//! The forms of a reference (R4 §2.3.0.1, and §3.1.0.11.2 for the conditional one).

/// What a reference's text points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `urn:uuid:…`, `urn:oid:…`: an entry of the same Bundle.
    Bundled(&'a str),
    /// `#id`: a contained resource.
    Contained(&'a str),
    /// `Type/id`, with or without a version.
    Relative {
        /// Resource type.
        resource_type: &'a str,
        /// Logical id.
        id: &'a str,
    },
    /// `http://server/base/Type/id`, with or without a version.
    Absolute {
        /// The whole.
        url: &'a str,
        /// With the slash at its end.
        base: &'a str,
        /// Resource type.
        resource_type: &'a str,
        /// Logical id.
        id: &'a str,
    },
    /// `Type?identifier=system|value`.
    Conditional {
        /// Resource type.
        resource_type: &'a str,
        /// `system|value`, as sent; see [`split_token`].
        token: &'a str,
    },
    /// Anything else: another search, a canonical URL, free text.
    Other,
}

impl<'a> Target<'a> {
    /// Reads a reference's text.
    pub fn of(reference: &'a str) -> Self {
        if reference.starts_with("urn:uuid:") || reference.starts_with("urn:oid:") {
            return Self::Bundled(reference);
        }
        if let Some(id) = reference.strip_prefix('#') {
            return Self::Contained(id);
        }
        if let Some((resource_type, query)) = reference.split_once('?')
            && is_type(resource_type)
        {
            return query.strip_prefix("identifier=").map_or(Self::Other, |token| {
                let token = token.split_once('&').map_or(token, |(first, _)| first);
                Self::Conditional { resource_type, token }
            });
        }
        let path = without_version(reference);
        let Some((rest, id)) = path.rsplit_once('/') else { return Self::Other };
        let (base, resource_type) = rest.rfind('/').map_or(("", rest), |slash| rest.split_at(slash + 1));
        if !is_type(resource_type) || !crate::walk::is_id(id) {
            return Self::Other;
        }
        if base.is_empty() {
            Self::Relative { resource_type, id }
        } else if base.starts_with("http://") || base.starts_with("https://") {
            Self::Absolute { url: reference, base, resource_type, id }
        } else {
            Self::Other
        }
    }

    /// Resource type that the text names.
    pub fn resource_type(&self) -> Option<&'a str> {
        match self {
            Self::Relative { resource_type, .. }
            | Self::Absolute { resource_type, .. }
            | Self::Conditional { resource_type, .. } => Some(resource_type),
            Self::Bundled(_) | Self::Contained(_) | Self::Other => None,
        }
    }
}

/// System and value of a search token (R4 §3.1.1.4.10), whose percent signs are undone.
pub fn split_token(token: &str) -> (String, String) {
    let bytes = token.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = || {
            let digits =
                bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        match (bytes[at] == b'%').then(hex).flatten() {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    let decoded = String::from_utf8_lossy(&decoded).into_owned();
    match decoded.split_once('|') {
        Some((system, value)) => (system.to_owned(), value.to_owned()),
        None => (String::new(), decoded),
    }
}

/// Without `/_history/…`.
pub fn without_version(reference: &str) -> &str {
    reference.split_once("/_history/").map_or(reference, |(resource, _)| resource)
}

/// A name that a resource type may have.
pub fn is_type(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let relative = Target::Relative { resource_type: "Patient", id: "a-1" };
        assert_eq!(Target::of("Patient/a-1"), relative);
        assert_eq!(Target::of("Patient/a-1/_history/3"), relative);
        assert_eq!(Target::of("urn:uuid:1"), Target::Bundled("urn:uuid:1"));
        assert_eq!(Target::of("#p"), Target::Contained("p"));
        assert_eq!(
            Target::of("https://h/fhir/Patient/1"),
            Target::Absolute {
                url: "https://h/fhir/Patient/1",
                base: "https://h/fhir/",
                resource_type: "Patient",
                id: "1"
            }
        );
        assert_eq!(
            Target::of("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|99"),
            Target::Conditional { resource_type: "Practitioner", token: "http://hl7.org/fhir/sid/us-npi|99" }
        );
        assert_eq!(split_token("http://x|9|9"), ("http://x".into(), "9|9".into()));
        assert_eq!(split_token("http%3A%2F%2fx%7C9"), ("http://x".into(), "9".into()));
        assert_eq!(split_token("9%"), (String::new(), "9%".into()));
        assert_eq!(split_token("%+1%é"), (String::new(), "%+1%é".into()));
        for other in
            ["Patient?name=x", "patient/1", "Patient/", "Patient", "a/b/Patient/1", "Patient/a b", "", "/"]
        {
            assert_eq!(Target::of(other), Target::Other, "{other}");
        }
    }
}
