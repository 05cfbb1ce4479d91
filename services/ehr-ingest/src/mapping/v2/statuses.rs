//! Code tables of orders, appointments and charges, HL7 v2 to FHIR R4.
//!
//! As in [`codes`]: what a table does not know never becomes something definite.

use super::codes;

/// Table 0119, ORC-1: the status that an order has by what is said about it. `None` where the code says nothing of it.
///
/// HL7's v2-to-FHIR map has the cancel request (CA) and the hold request (HD) as `active`, the discontinue request (DC)
/// as `revoked`. Here all three are the placer's word, and the placer's word is what FHIR's status of a request is.
pub(super) fn order_control(code: &str) -> Option<&'static str> {
    Some(match code {
        // New; accepted; number assigned; changed; released; the order that replaces; parent and child; refill.
        "NW" | "OK" | "NA" | "SN" | "XO" | "XR" | "XX" | "RL" | "OE" | "OR" | "RO" | "PA" | "CH" | "AF"
        | "RF" => "active",
        // Cancelled; discontinued; the order that is replaced; denied, not accepted.
        "CA" | "OC" | "CR" | "DC" | "OD" | "DR" | "RP" | "RQ" | "RU" | "DF" | "UA" => "revoked",
        "HD" | "OH" | "HR" => "on-hold",
        "FU" | "OF" => "completed",
        _ => return None,
    })
}

/// Table 0038, ORC-5.
pub(super) fn order_status(code: &str) -> Option<&'static str> {
    Some(match code {
        // A: some, but not all, results available.
        "A" | "IP" | "SC" => "active",
        "CA" | "DC" | "RP" => "revoked",
        "CM" => "completed",
        "HD" => "on-hold",
        "ER" => "entered-in-error",
        _ => return None,
    })
}

/// Table 0485, TQ1-9 and TQ.6; table 0027, OBR-5. Pre-op, callback and "as needed" have no FHIR counterpart.
pub(super) fn priority(code: &str) -> Option<&'static str> {
    match code.as_bytes() {
        // Timing critical; within so many seconds (TS30), minutes, hours, days, weeks or months.
        [b'T'] => Some("urgent"),
        [b'T', b'S' | b'M' | b'H' | b'D' | b'W' | b'L', digits @ ..]
            if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) =>
        {
            Some("urgent")
        }
        _ => codes::request_priority(code),
    }
}

/// Table 0278, SCH-25, and what senders write there all the same.
pub(super) fn appointment(code: &str) -> Option<&'static str> {
    Some(match code.to_ascii_lowercase().as_str() {
        "pending" => "pending",
        "waitlist" => "waitlist",
        "booked" | "overbook" | "scheduled" | "confirmed" => "booked",
        "arrived" => "arrived",
        "started" | "checked-in" | "checkedin" => "checked-in",
        "complete" | "completed" => "fulfilled",
        "cancelled" | "canceled" | "dc" | "discontinued" => "cancelled",
        "deleted" => "entered-in-error",
        "noshow" | "no-show" | "no show" => "noshow",
        _ => return None,
    })
}

/// Table 0017, FT1-6.
pub(super) fn charge_type(code: &str) -> &'static str {
    match code {
        "CG" => "charge",
        "CD" | "CR" => "credit",
        // A co-payment is a payment.
        "PY" | "CO" => "payment",
        "AJ" => "adjustment",
        _ => "unknown",
    }
}

/// Tables 0443 (ROL-3) and 0912 (PRT-4): the role of a clinician of the visit.
pub(super) fn participant_role(code: &str) -> Option<&'static str> {
    Some(match code {
        "AT" => "attender",
        "AD" => "admitter",
        "CP" => "consultant",
        "RP" => "referrer",
        _ => return None,
    })
}

/// Table 0217, PV2-25: code and display in v3-ActPriority.
pub(super) fn visit_priority(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "1" => ("EM", "emergency"),
        "2" => ("UR", "urgent"),
        "3" => ("EL", "elective"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tables_do_not_know_is_nothing_definite() {
        for code in ["", "nw", "ZZ", "RE", "SC", "UC", "PR"] {
            assert_eq!(order_control(code), None, "{code}");
        }
        for code in ["", "F", "cm"] {
            assert_eq!(order_status(code), None, "{code}");
        }
        for code in ["", "P", "C", "PRN", "TX", "TS", "TSx", "Té9"] {
            assert_eq!(priority(code), None, "{code}");
        }
        for code in ["", "Blocked", "Normal"] {
            assert_eq!(appointment(code), None, "{code}");
        }
        assert_eq!(charge_type("cg"), "unknown");
        assert_eq!(priority("TM30"), Some("urgent"));
    }
}
