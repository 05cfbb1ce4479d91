//! Sixty-four bytes at a time: which of them are delimiters, as one bit each.
//!
//! Delimiters stand so close to each other in HL7 that searching for the next one costs more than looking at all bytes.
//! Written so that the compiler compares many bytes at once on every target.

/// Bytes looked at together: one bit of a word for each.
pub(crate) const BLOCK: usize = 64;

/// The first bytes of `rest`; NUL, which is no delimiter, where there are not enough.
#[inline]
pub(crate) fn block(rest: &[u8]) -> [u8; BLOCK] {
    match rest.first_chunk() {
        Some(block) => *block,
        None => {
            let mut block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            block
        }
    }
}

/// A bit for each byte that is one of `wanted`; the first byte is the lowest bit.
#[inline]
pub(crate) fn positions<const N: usize>(block: &[u8; BLOCK], wanted: [u8; N]) -> u64 {
    pack(&block.map(|byte| wanted.iter().fold(0, |found, wanted| found | u8::from(byte == *wanted))))
}

/// The bits below `bit`, which is less than 64.
#[inline]
pub(crate) fn below(bit: u32) -> u64 {
    (1 << bit) - 1
}

/// Where `wanted` is first. Most values are empty or a few bytes long: there a loop is faster than a search that has to be set up.
#[inline]
pub(crate) fn find(wanted: u8, bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 16;
    let (near, far) = bytes.split_at(bytes.len().min(SHORT));
    near.iter()
        .position(|byte| *byte == wanted)
        .or_else(|| if far.is_empty() { None } else { memchr::memchr(wanted, far).map(|at| SHORT + at) })
}

/// One bit for each byte, which is 0 or 1.
#[inline]
fn pack(bytes: &[u8; BLOCK]) -> u64 {
    // Byte i of eight, times 2^(56 - 7i), puts its bit at 56 + i; no two products share a bit, so nothing carries.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (chunks, _) = bytes.as_chunks::<8>();
    chunks
        .iter()
        .rev()
        .fold(0, |mask, chunk| mask << 8 | u64::from_le_bytes(*chunk).wrapping_mul(GATHER) >> 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_is_found_alone_and_with_others() {
        for at in 0..BLOCK {
            let mut bytes = [b'a'; BLOCK];
            bytes[at] = b'|';
            assert_eq!(positions(&bytes, [b'|', b'^']), 1 << at);
            bytes[BLOCK - 1 - at] = b'^';
            assert_eq!(positions(&bytes, [b'|', b'^']), 1 << at | 1 << (BLOCK - 1 - at));
            assert_eq!(below(at as u32).count_ones() as usize, at);
        }
        assert_eq!(positions(&[b'|'; BLOCK], [b'|']), u64::MAX);
        assert_eq!(positions(&block(b"a|b"), [b'|']), 0b10);
    }
}
