//! Telling a batch from a message.

use crate::header::skip_preamble;

/// Whether the input starts with a file or batch header (FHS, BHS), after a byte order mark or blank lines.
pub fn is_batch(input: &[u8]) -> bool {
    let rest = &input[skip_preamble(input)..];
    rest.starts_with(b"FHS") || rest.starts_with(b"BHS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_recognised_by_their_first_segment() {
        assert!(is_batch(b"FHS|^~\\&|"));
        assert!(is_batch(b"\xef\xbb\xbf\r\nBHS|^~\\&|"));
        assert!(!is_batch(b"MSH|^~\\&|"));
        assert!(!is_batch(b""));
    }
}
