//! Every code that HL7's concept maps have a target for, through a whole message to the event.

use std::fs;

use waybill_testkit::corpora;

use crate::sample::{adt, of, said};

/// A concept map, and the field whose codes it translates.
struct Table {
    /// `Concept_Map__….csv`
    map: &'static str,
    message: fn(&str) -> String,
    /// Where the events say it.
    path: &'static str,
    /// Codes for which the events decide otherwise (nothing: there is no event), and why.
    except: &'static [(&'static str, &'static str, &'static str)],
}

const TABLES: &[Table] = &[
    Table {
        map: "AdministrativeSex",
        message: |code| adt("A08", &[("PID", 8, code)]),
        path: "patient.gender",
        except: &[],
    },
    Table {
        map: "MaritalStatus",
        message: |code| adt("A08", &[("PID", 16, code)]),
        path: "patient.maritalStatus.coding.code",
        except: &[],
    },
    Table {
        map: "NameType",
        message: |code| adt("A08", &[("PID", 5, &format!("F^G^^^^^{code}"))]),
        path: "patient.name.use",
        except: &[],
    },
    Table {
        map: "AddressType_Use_",
        message: |code| adt("A08", &[("PID", 11, &format!("S^^C^^^^{code}"))]),
        path: "patient.address.use",
        except: &[],
    },
    Table {
        map: "TelecommunicationUseCode",
        message: |code| adt("A08", &[("PID", 40, &format!("1^{code}^PH"))]),
        path: "patient.telecom.use",
        except: &[],
    },
    Table {
        map: "TelecommunicationEquipmentType",
        message: |code| adt("A08", &[("PID", 40, &format!("1^^{code}"))]),
        path: "patient.telecom.system",
        except: &[("CP", "phone", "the target is a use; FHIR asks for a system too")],
    },
    Table {
        map: "PatientClass_EncounterClass_",
        message: |code| adt("A01", &[("PV1", 2, code)]),
        path: "encounter.class.code",
        except: &[],
    },
    Table {
        map: "Event_EncounterStatus_",
        message: |code| adt(code, &[("PV1", 19, "V1")]),
        path: "encounter.status",
        except: &[("A04", "in-progress", "docs/adr/0004")],
    },
    Table {
        map: "EncounterPriority",
        message: |code| adt("A01", &[("PV2", 25, code)]),
        path: "encounter.priority.coding.code",
        except: &[],
    },
    Table {
        map: "ResultStatus_Non-Queries_",
        message: |code| of("ORU^R01", &[("OBR", 25, code), ("OBX", 11, "F")]),
        path: "report.status",
        except: &[],
    },
    Table {
        map: "ObservationResultStatusCodesInterpretation",
        message: |code| of("ORU^R01", &[("OBR", 25, "F"), ("OBX", 11, code)]),
        path: "report.result.status",
        except: &[],
    },
    Table {
        map: "InterpretationCodes",
        message: |code| of("ORU^R01", &[("OBR", 25, "F"), ("OBX", 8, code)]),
        path: "report.result.interpretation",
        except: &[],
    },
    Table {
        map: "OrderStatus",
        message: |code| of("ORM^O01", &[("ORC", 5, code), ("OBR", 4, "T")]),
        path: "order.status",
        except: &[],
    },
    Table {
        map: "OrderControlCode_ServiceRequest.status_",
        message: |code| of("ORM^O01", &[("ORC", 1, code), ("OBR", 4, "T")]),
        path: "order.status",
        except: &[
            ("CA", "revoked", "the placer's word is the status of a request (FHIR R4 ServiceRequest.status)"),
            ("HD", "on-hold", "likewise; v2-to-FHIR waits for the filler to agree"),
            ("RQ", "revoked", "the order that was replaced; the one that replaces it is RO"),
            ("PY", "unknown", "of pharmacies: no order of a laboratory has it"),
            ("PR", "", "HL7 v2 §4.4.6: previous results beside an order are no order"),
        ],
    },
    Table {
        map: "ExtendedPriorityCodes",
        message: |code| of("ORM^O01", &[("ORC", 7, &format!("^^^^^{code}")), ("OBR", 4, "T")]),
        path: "order.priority",
        except: &[],
    },
    Table {
        map: "FillerStatusCodes_Appointment_",
        message: |code| of("SIU^S14", &[("SCH", 25, code)]),
        path: "appointment.status",
        except: &[],
    },
];

#[test]
fn every_code_with_a_target_has_it_in_the_event() {
    let Some(maps) = corpora::folder("v2-to-fhir-maps") else { return };
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for table in TABLES {
        let file = maps.join(format!("codesystems/Concept_Map__{}.csv", table.map));
        let rows = rows(&fs::read_to_string(file).unwrap());
        let mut codes = 0;
        for row in rows.iter().skip(2) {
            // No-break spaces and texts such as "not mapped" stray through the sheets.
            let cell = |at: usize| row.get(at).map_or("", |cell| cell.trim_matches(['\u{a0}', ' ', '\n']));
            let (code, target) = (cell(0), cell(6));
            if code.is_empty() || target.is_empty() || target.contains(' ') {
                continue;
            }
            codes += 1;
            let except = table.except.iter().find(|(but, ..)| *but == code);
            let wanted = except.map_or(target, |(_, instead, _)| instead);
            let message = (table.message)(code);
            let events = super::events_of(message.as_bytes());
            let found = said(&events, table.path);
            let right =
                if wanted.is_empty() { found.is_empty() } else { found.iter().any(|found| found == wanted) };
            if !right {
                wrong.push(format!("{} {code}: {wanted} expected, {found:?} found", table.map));
            }
        }
        assert!(codes > 0, "{}: no codes", table.map);
        checked += codes;
    }
    eprintln!("{checked} codes of {} tables", TABLES.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_code_of_no_table_is_nothing_definite_and_kept() {
    for code in ["Q", "f", "Final", "unknown", "XX"] {
        let events = super::events_of(of("ORU^R01", &[("OBR", 25, code), ("OBX", 11, code)]).as_bytes());
        assert_eq!(said(&events, "report.status"), ["unknown"], "{code}");
        assert_eq!(said(&events, "report.statusCode"), [code], "{code}");
        assert_eq!(said(&events, "report.result.status"), ["unknown"], "{code}");
        let events = super::events_of(of("ORM^O01", &[("ORC", 5, code), ("OBR", 4, "T")]).as_bytes());
        assert_eq!(said(&events, "order.status"), ["unknown"], "{code}");
        assert_eq!(said(&events, "order.statusCode"), [code], "{code}");
        let events = super::events_of(adt("A01", &[("PV1", 2, code)]).as_bytes());
        assert_eq!(said(&events, "encounter.class.code"), [code]);
        assert_eq!(said(&events, "encounter.class.system"), ["HL70004"]);
    }
}

/// Rows of a CSV text: quoted cells may hold commas, quotes and line ends.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            other => cell.push(other),
        }
    }
    row.push(cell);
    rows.push(row);
    rows
}
