//! Bearer tokens (RFC 6750), known by their hashes: who reads the configuration cannot use them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::super::watched::Watched;
use crate::config::{HttpConfig, TokenConfig};

/// The tokens of a feed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens(Vec<Token>);

#[derive(Clone, Debug)]
struct Token {
    name: String,
    sha256: [u8; 32],
}

/// What is wrong with a token's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("has no name")]
    NoName,
    #[error("has a hash that is not 64 hexadecimal digits")]
    NoHash,
}

impl Token {
    fn new(name: &str, sha256: &str) -> Result<Self, TokenError> {
        if name.trim().is_empty() {
            return Err(TokenError::NoName);
        }
        let sha256 = parse_hash(sha256).ok_or(TokenError::NoHash)?;
        Ok(Self { name: name.to_owned(), sha256 })
    }
}

impl Tokens {
    /// Whether the entries of the configuration can be used.
    pub(crate) fn check(entries: &[TokenConfig]) -> Result<(), TokenError> {
        Self::of(entries).map(drop)
    }

    fn of(entries: &[TokenConfig]) -> Result<Self, TokenError> {
        entries.iter().map(|entry| Token::new(&entry.name, &entry.sha256)).collect::<Result<_, _>>().map(Self)
    }

    /// The tokens of the configuration and of its file, read again when the file changes.
    pub(crate) fn open(feed: &str, settings: &HttpConfig) -> anyhow::Result<Watched<Self>> {
        let files: Vec<PathBuf> = settings.tokens_file.iter().cloned().collect();
        let (what, settings) = (format!("tokens of feed {feed}"), settings.clone());
        let context = what.clone();
        Watched::open(what, files, move || Self::load(&settings).with_context(|| context.clone()))
    }

    fn load(settings: &HttpConfig) -> anyhow::Result<Self> {
        let mut tokens = Self::of(&settings.tokens)?;
        if let Some(file) = &settings.tokens_file {
            tokens.0.extend(read_file(file)?);
        }
        Ok(tokens)
    }

    /// Whose token this is. Every entry is compared whole, whatever the others said.
    pub(crate) fn holder(&self, token: &[u8]) -> Option<&str> {
        let hash = Sha256::digest(token);
        let mut holder = None;
        for token in &self.0 {
            if bool::from(token.sha256.as_slice().ct_eq(hash.as_slice())) {
                holder = Some(token.name.as_str());
            }
        }
        holder
    }
}

fn read_file(file: &Path) -> anyhow::Result<Vec<Token>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, hash)) = line.split_once(char::is_whitespace) else {
            bail!("{} line {}: a line has a name and a hash", file.display(), number + 1);
        };
        let token = Token::new(name, hash.trim());
        tokens.push(token.with_context(|| format!("{} line {}", file.display(), number + 1))?);
    }
    Ok(tokens)
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut hash = [0; 32];
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    }
    Some(hash)
}

/// The token of an `Authorization` header (RFC 6750 §2.1); `None`: of another scheme, or none.
pub(crate) fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `secret`.
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn entry(name: &str, sha256: &str) -> TokenConfig {
        TokenConfig { name: name.to_owned(), sha256: sha256.to_owned() }
    }

    #[test]
    fn a_token_is_known_by_its_hash() {
        let tokens = Tokens::of(&[entry("other", &"0".repeat(64)), entry("epic", HASH)]).unwrap();
        assert_eq!(tokens.holder(b"secret"), Some("epic"));
        for wrong in [b"secre".as_slice(), b"secret ", b"", HASH.as_bytes()] {
            assert_eq!(tokens.holder(wrong), None);
        }
        assert_eq!(Tokens::default().holder(b""), None);
    }

    #[test]
    fn entries_are_checked() {
        assert_eq!(Tokens::check(&[entry("a", HASH)]), Ok(()));
        assert_eq!(Tokens::check(&[entry("a", &HASH.to_uppercase())]), Ok(()));
        assert_eq!(Tokens::check(&[entry(" ", HASH)]), Err(TokenError::NoName));
        for wrong in ["", "secret", &HASH[1..], &HASH.replace('2', "é"), &HASH.replace('2', "+")] {
            assert_eq!(Tokens::check(&[entry("a", wrong)]), Err(TokenError::NoHash), "{wrong}");
        }
    }

    #[test]
    fn a_file_has_a_name_and_a_hash_per_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read_file(&file)
        };
        let tokens = Tokens(read(&format!("# clients\n\nepic\t {HASH}\r\n")).unwrap());
        assert_eq!(tokens.holder(b"secret"), Some("epic"));
        let error = format!("{:#}", read("epic\n").unwrap_err());
        assert!(error.contains("line 1"), "{error}");
        let error = format!("{:#}", read(&format!("a {HASH}\nb {}", "g".repeat(64))).unwrap_err());
        assert!(error.contains("line 2") && error.contains("64 hexadecimal"), "{error}");
    }

    #[test]
    fn only_bearer_tokens_are_read() {
        assert_eq!(bearer(b"Bearer abc"), Some(b"abc".as_slice()));
        assert_eq!(bearer(b"bearer  abc "), Some(b"abc".as_slice()));
        for wrong in [b"Basic abc".as_slice(), b"Bearer", b"Bearer ", b"Bearer\tabc", b"", b"abc"] {
            assert_eq!(bearer(wrong), None);
        }
    }
}
