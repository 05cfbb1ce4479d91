//! NM: numbers as FHIR and JSON take them (HL7 v2 §2A.2.45).

/// A decimal number in the precision sent. What is written otherwise than FHIR does is put right: a plus sign, the zero
/// that is left out before the point or stands there once too often, a point with nothing after it.
///
/// `None` for anything else: a comma may be of thousands or of decimals.
pub(super) fn decimal(text: &str) -> Option<String> {
    let unsigned = || text.strip_prefix('+').unwrap_or(text);
    let (sign, digits) = text.strip_prefix('-').map_or_else(|| ("", unsigned()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_precision() {
        for (sent, read) in [
            ("100", "100"),
            ("+1.50", "1.50"),
            ("-0.10", "-0.10"),
            (".8", "0.8"),
            ("-.5", "-0.5"),
            ("7.", "7"),
            ("007.50", "7.50"),
            ("000", "0"),
            ("0", "0"),
        ] {
            assert_eq!(decimal(sent).as_deref(), Some(read), "{sent}");
        }
        for sent in
            ["", ".", "-", "+-1", "1,000", "1.2.3", "USD 5", "1e3", "--1", "٣", "5 mg", "1:4", "- 1", "0x1"]
        {
            assert_eq!(decimal(sent), None, "{sent}");
        }
    }
}
