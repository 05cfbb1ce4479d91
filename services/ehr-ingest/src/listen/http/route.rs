//! Which resource a request is for, and whether it is spoken to in its language.

use hyper::{
    HeaderMap, Method, Request,
    header::{ACCEPT, CONTENT_TYPE, HeaderName},
};

use super::answer::Refusal;

/// Where HL7 v2 is posted to.
pub(super) const HL7: &str = "/hl7";
/// The FHIR base.
const FHIR: &str = "/fhir";
/// `x-application/hl7-v2+er7` and `application/hl7-v2` are of the HL7-over-HTTP specification (§2.4) and its
/// implementation in HAPI; `text/plain` is what senders use that know neither.
const HL7_TYPES: [&str; 4] =
    ["x-application/hl7-v2+er7", "application/hl7-v2+er7", "application/hl7-v2", "text/plain"];
/// FHIR R4 §3.1.0.1.11: generic clients may use the generic type.
const FHIR_TYPES: [&str; 2] = ["application/fhir+json", "application/json"];

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `GET /fhir/metadata`.
    Metadata,
    /// Something is brought.
    Take(Resource),
}

/// Where something is brought to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// `POST /hl7`.
    Hl7,
    /// Below `/fhir`.
    Fhir(Interaction),
}

/// An interaction of the FHIR API; the owned form of [`accept::fhir::Interaction`](crate::accept::fhir::Interaction).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Interaction {
    Base,
    Create(String),
    Update(String, String),
    ConditionalUpdate(String),
}

impl Route {
    /// By method and path below the feed's own.
    pub(super) fn find(method: &Method, path: &str) -> Result<Self, Refusal> {
        let fhir = |interaction| Ok(Self::Take(Resource::Fhir(interaction)));
        let only = |allowed: &'static str| Err(Refusal::method(allowed));
        if path == HL7 {
            return if method == Method::POST { Ok(Self::Take(Resource::Hl7)) } else { only("POST") };
        }
        let Some(rest) = path.strip_prefix(FHIR) else { return Err(Refusal::not_found()) };
        // A base with and without a slash at its end is the same (R4 §3.1.0.1.2).
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let parts: Vec<&str> = rest.split('/').collect();
        match (&parts[..], method.as_str()) {
            ([""] | ["", "$process-message" | "%24process-message"], "POST") => fhir(Interaction::Base),
            ([""] | ["", "$process-message" | "%24process-message"], _) => only("POST"),
            (["", "metadata"], "GET" | "HEAD") => Ok(Self::Metadata),
            (["", "metadata"], _) => only("GET, HEAD"),
            // What R4 §2.4.5 calls the way of messages over HTTP.
            (["", kind], "POST") if is_type(kind) => fhir(Interaction::Create((*kind).to_owned())),
            (["", kind], "PUT") if is_type(kind) => fhir(Interaction::ConditionalUpdate((*kind).to_owned())),
            (["", kind], _) if is_type(kind) => only("POST, PUT"),
            (["", kind, id], "PUT") if is_type(kind) && is_id(id) => {
                fhir(Interaction::Update((*kind).to_owned(), (*id).to_owned()))
            }
            (["", kind, id], _) if is_type(kind) && is_id(id) => only("PUT"),
            _ => Err(Refusal::not_found()),
        }
    }
}

/// Names of resource types are letters that begin with a capital.
fn is_type(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// R4 §2.24.0.1, datatype id.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// The media type without its parameters, in lower case.
pub(super) fn essence(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.split(';').next()?.trim().to_ascii_lowercase())
}

pub(super) fn brings_hl7<B>(head: &Request<B>) -> Result<(), Refusal> {
    let found = essence(head.headers(), CONTENT_TYPE);
    let is_spoken = found.is_some_and(|found| HL7_TYPES.contains(&found.as_str()));
    if is_spoken {
        Ok(())
    } else {
        Err(Refusal::content_type("the content type of HL7 v2 is x-application/hl7-v2+er7"))
    }
}

pub(super) fn brings_fhir<B>(head: &Request<B>) -> Result<(), Refusal> {
    let found = essence(head.headers(), CONTENT_TYPE);
    let is_spoken = found.is_some_and(|found| FHIR_TYPES.contains(&found.as_str()));
    if !is_spoken {
        return Err(Refusal::content_type("the content type of FHIR is application/fhir+json"));
    }
    // R4 §3.1.0.1.13; what other versions call the same may mean something else.
    if fhir_version(head.headers())
        .is_some_and(|version| !matches!(version.as_str(), "4.0" | "4.0.0" | "4.0.1"))
    {
        return Err(Refusal::content_type("the FHIR version is 4.0"));
    }
    Ok(())
}

/// Parameter `fhirVersion` of the content type.
fn fhir_version(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_version = name.trim().eq_ignore_ascii_case("fhirVersion");
        is_version.then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Answers are JSON: refuses who takes anything but that, by `_format` (R4 §3.1.0.1.12) or by `Accept`.
pub(super) fn wants_fhir<B>(head: &Request<B>) -> Result<(), Refusal> {
    let format =
        head.uri().query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("_format="));
    if let Some(format) = format {
        let format = format.to_ascii_lowercase().replace("%2f", "/").replace("%2b", "+");
        let type_only = format.split(';').next().unwrap_or_default();
        // A plus sign that was not encoded is read as a space.
        let is_json = type_only == "json" || FHIR_TYPES.contains(&type_only.replace(' ', "+").as_str());
        return if is_json { Ok(()) } else { Err(Refusal::not_acceptable()) };
    }
    let accepts = |text: &str| {
        text.split(',').any(|range| {
            let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
            let range = parts.next().unwrap_or_default();
            let refused = parts.any(|part| matches!(part.as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            !refused
                && (FHIR_TYPES.contains(&range.as_str()) || matches!(range.as_str(), "*/*" | "application/*"))
        })
    };
    let mut asked = head.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if asked.peek().is_none() || asked.any(accepts) { Ok(()) } else { Err(Refusal::not_acceptable()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str) -> Result<Route, u16> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Route::find(&method, path).map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn resources_are_found_by_method_and_path() {
        let fhir = |interaction| Ok(Route::Take(Resource::Fhir(interaction)));
        assert_eq!(route("POST", "/hl7"), Ok(Route::Take(Resource::Hl7)));
        assert_eq!(route("GET", "/fhir/metadata"), Ok(Route::Metadata));
        assert_eq!(route("POST", "/fhir"), fhir(Interaction::Base));
        assert_eq!(route("POST", "/fhir/"), fhir(Interaction::Base));
        assert_eq!(route("POST", "/fhir/$process-message"), fhir(Interaction::Base));
        assert_eq!(route("POST", "/fhir/%24process-message"), fhir(Interaction::Base));
        assert_eq!(route("GET", "/fhir/$process-message"), Err(405));
        assert_eq!(route("HEAD", "/fhir/metadata"), Ok(Route::Metadata));
        assert_eq!(route("POST", "/fhir/Patient"), fhir(Interaction::Create("Patient".into())));
        assert_eq!(route("PUT", "/fhir/Patient"), fhir(Interaction::ConditionalUpdate("Patient".into())));
        assert_eq!(
            route("PUT", "/fhir/Patient/a-1.b"),
            fhir(Interaction::Update("Patient".into(), "a-1.b".into()))
        );
        for (method, path) in [
            ("GET", "/hl7"),
            ("GET", "/fhir"),
            ("POST", "/fhir/metadata"),
            ("GET", "/fhir/Patient"),
            ("DELETE", "/fhir/Patient/1"),
        ] {
            assert_eq!(route(method, path), Err(405), "{method} {path}");
        }
        let long = format!("/fhir/Patient/{}", "a".repeat(65));
        for path in [
            "/",
            "",
            "/hl7/",
            "/hl7x",
            "/fhirx",
            "/fhir/patient",
            "/fhir//Patient",
            "/fhir/Patient/1/2",
            "/fhir/Patient/a_b",
            "/fhir/Patient/1/",
            "/fhir/$x",
            &long,
        ] {
            let expected = if path == "/fhir/Patient/1/" { Err(405) } else { Err(404) };
            assert_eq!(route("POST", path), expected, "{path}");
        }
    }

    #[test]
    fn languages_are_negotiated() {
        let ask = |uri: &str, accept: Option<&str>| {
            let builder = Request::builder().uri(uri);
            let builder = accept.into_iter().fold(builder, |builder, value| builder.header(ACCEPT, value));
            wants_fhir(&builder.body(()).unwrap()).is_ok()
        };
        for accept in [
            None,
            Some("*/*"),
            Some("application/fhir+json; fhirVersion=4.0"),
            Some("text/html, application/*;q=0.8"),
            Some("application/fhir+xml;q=1.0, application/fhir+json;q=1.0"),
        ] {
            assert!(ask("/fhir/metadata", accept), "{accept:?}");
        }
        for accept in
            [Some("application/fhir+xml"), Some("text/html"), Some("application/json;q=0"), Some("")]
        {
            assert!(!ask("/fhir/metadata", accept), "{accept:?}");
        }
        for format in ["json", "application/fhir%2Bjson", "application/fhir+json", "application%2Fjson"] {
            assert!(ask(&format!("/fhir/metadata?_format={format}"), Some("text/html")), "{format}");
        }
        assert!(!ask("/fhir/metadata?a=b&_format=xml", None));
        let brings = |value: &str| {
            let request = Request::builder().header(CONTENT_TYPE, value).body(()).unwrap();
            (brings_hl7(&request).is_ok(), brings_fhir(&request).is_ok())
        };
        assert_eq!(brings("x-application/hl7-v2+er7; charset=utf-8"), (true, false));
        assert_eq!(brings("Application/HL7-v2"), (true, false));
        assert_eq!(brings("text/plain"), (true, false));
        assert_eq!(brings("application/fhir+json"), (false, true));
        assert_eq!(brings("application/fhir+json; charset=UTF-8; fhirVersion=\"4.0\""), (false, true));
        assert_eq!(brings("application/fhir+json;fhirversion=3.0"), (false, false));
        assert_eq!(brings("application/fhir+xml"), (false, false));
        assert_eq!(brings("x-application/hl7-v2+xml"), (false, false));
    }
}
