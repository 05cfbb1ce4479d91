//! Looking for identifying values where they must not be.

use crate::text::latin1;

/// How often `value` stands in `haystack` as a whole word, in UTF-8 or in Latin-1.
///
/// Whole words only: an eight-digit birth date inside a hash is chance, not a leak.
pub fn occurrences(haystack: &[u8], value: &str) -> usize {
    let utf8 = value.as_bytes();
    let mut found = count_words(haystack, utf8);
    if !value.is_ascii() {
        found += count_words(haystack, &latin1(value));
    }
    found
}

fn count_words(haystack: &[u8], needle: &[u8]) -> usize {
    let Some(first) = needle.first() else { return 0 };
    let is_word = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
    let last_start = (haystack.len() + 1).saturating_sub(needle.len());
    (0..last_start)
        .filter(|&at| haystack[at] == *first && haystack[at..].starts_with(needle))
        .filter(|&at| !is_word(at.checked_sub(1).and_then(|before| haystack.get(before))))
        .filter(|&at| !is_word(haystack.get(at + needle.len())))
        .count()
}

#[cfg(test)]
mod tests {
    use super::occurrences;

    #[test]
    fn finds_whole_words_in_both_character_sets() {
        assert_eq!(occurrences("name=Müller;".as_bytes(), "Müller"), 1);
        assert_eq!(occurrences(b"name=M\xfcller;", "Müller"), 1);
        assert_eq!(occurrences(b"19540312 and |19540312|", "19540312"), 2);
    }

    #[test]
    fn digits_inside_a_longer_run_are_chance() {
        assert_eq!(occurrences(b"ab19540312cd 1195403127", "19540312"), 0);
        assert_eq!(occurrences(b"", "x"), 0);
        assert_eq!(occurrences(b"x", ""), 0);
    }
}
