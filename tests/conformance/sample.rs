//! Small messages, and what their events say.

use ehr_ingest::mapping::Event;

use crate::{events, json};

/// An ADT message with the named fields.
pub(crate) fn adt(event: &str, fields: &[(&str, usize, &str)]) -> String {
    let visit =
        if fields.iter().any(|(segment, ..)| *segment == "PV1") { &[][..] } else { &[("PV1", 19, "V1")] };
    of(&format!("ADT^{event}"), &[fields, visit].concat())
}

/// A message whose segments have the named fields, in the order of the standard.
pub(crate) fn of(kind: &str, fields: &[(&str, usize, &str)]) -> String {
    let mut message = format!("MSH|^~\\&|A|B|||20260304||{kind}|1|P|2.5.1\r");
    for name in ["SCH", "PID", "NK1", "PV1", "PV2", "FT1", "ORC", "OBR", "OBX", "SPM", "IN1", "IN2"] {
        let named = fields.iter().filter(|(segment, ..)| *segment == name);
        let named: Vec<(usize, &str)> = named.map(|(_, at, value)| (*at, *value)).collect();
        let default: &[(usize, &str)] = match name {
            "PID" => &[(3, "1^^^A^MR")],
            _ if named.is_empty() => continue,
            "SCH" => &[(1, "P1")],
            "OBR" => &[(3, "F1")],
            "ORC" => &[(2, "O1")],
            "OBX" => &[(2, "ST"), (3, "C"), (5, "V"), (11, "F")],
            _ => &[],
        };
        let all = || default.iter().chain(&named);
        let mut line = vec![""; all().map(|(at, _)| at + 1).max().unwrap_or(1)];
        line[0] = name;
        all().for_each(|(at, value)| line[*at] = value);
        message += &(line.join("|") + "\r");
    }
    message
}

/// What the events of a message say at a path.
pub(crate) fn said(events: &[Event], path: &str) -> Vec<String> {
    let all = events.iter().map(events::json);
    all.flat_map(|event| json::texts(&event, path)).map(|value| value.raw).collect()
}
