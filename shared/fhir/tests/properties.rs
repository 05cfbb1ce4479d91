//! Nothing that is sent makes the readers panic, and no answer repeats it.

use proptest::prelude::*;
use waybill_fhir::{
    Bundle, Target,
    bundle::text_of,
    json,
    reference::split_token,
    resources::{self, Claim, DiagnosticReport, Encounter, Observation, Patient},
    walk::{MAX_ISSUES, walk},
};

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        ".{0,12}".prop_map(serde_json::Value::from),
        Just("2026-05-01T10:00:00+14:00".into()),
        Just("#a".into()),
    ];
    let names = prop_oneof![
        Just("resourceType"),
        Just("id"),
        Just("identifier"),
        Just("period"),
        Just("reference"),
        Just("contained"),
        Just("entry"),
        Just("resource"),
        Just("value"),
        Just("item"),
        Just("status"),
        Just("subject"),
        Just("x"),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec((names.clone().prop_map(str::to_owned), inner), 0..6)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(value in any_json(), resource_type in prop_oneof![Just("Bundle"), Just("Claim"), Just("Patient")]) {
        let mut value = value;
        if let Some(object) = value.as_object_mut() {
            object.insert("resourceType".to_owned(), resource_type.into());
        }
        let text = value.to_string();
        let issues = walk(&text, "X", &|_| false);
        prop_assert!(issues.len() <= MAX_ISSUES);
        prop_assert!(issues.iter().all(|issue| issue.expression.as_deref().is_some_and(|place| place.starts_with('X'))));
        let _ = resources::checked::<Patient<'_>>(&text, "X");
        let _ = resources::checked::<Encounter<'_>>(&text, "X");
        let _ = resources::checked::<Observation<'_>>(&text, "X");
        let _ = resources::checked::<DiagnosticReport<'_>>(&text, "X");
        let _ = resources::checked::<Claim<'_>>(&text, "X");
        if let Ok(bundle) = Bundle::read(&text) {
            for at in 0..bundle.entries.len() {
                let _ = (bundle.expression(at), bundle.resolve(at, "Patient/1"), bundle.contained(at, "a"));
            }
        }
    }

    #[test]
    fn any_text_is_a_reference_of_some_form(text in "[#?/|%:a-zA-Z0-9.é-]{0,40}") {
        if let Target::Conditional { token, .. } = Target::of(&text) {
            let _ = split_token(token);
        }
        let _ = split_token(&text);
    }

    #[test]
    fn any_text_is_a_date_or_is_not(text in "[0-9TZ:.+é-]{0,32}") {
        let quoted = format!("\"{text}\"");
        if let Ok(date) = json::read::<waybill_fhir::date::DateTime<'_>>(&quoted, "X") {
            prop_assert_eq!(date.as_str(), text.as_str());
            prop_assert!(date.unix_millis().is_some());
            prop_assert!(!date.is_before(&date));
        }
    }

    #[test]
    fn any_bytes_have_a_text_or_an_issue(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok((text, _)) = text_of(&bytes) {
            let _ = Bundle::read(text);
        }
    }
}
