//! Bearer tokens for HTTP feeds: the sender keeps the token, the configuration its hash.

use std::io::Write;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{Exit, Failure, cli::TokenArgs};

/// Random bits of a token: as many as its hash has.
const BYTES: usize = 32;

pub(crate) fn new(arguments: &TokenArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let name = &arguments.name;
    // A space ends the name in a tokens file, a quotation mark in the configuration.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(Failure::Usage("a name has letters, digits, '-', '_' and '.'".to_owned()));
    }
    let mut secret = [0; BYTES];
    getrandom::fill(&mut secret).map_err(|error| Failure::Failed(format!("no random numbers: {error}")))?;
    let token = URL_SAFE_NO_PAD.encode(secret);
    let hash = hex(&Sha256::digest(&token));
    writeln!(out, "For the sender, shown only now:\n  Authorization: Bearer {token}")?;
    writeln!(out, "For [feed.http] of the feed:\n  tokens = [{{ name = \"{name}\", sha256 = \"{hash}\" }}]")?;
    writeln!(out, "Or a line of its tokens_file:\n  {name} {hash}")?;
    Ok(Exit::Ok)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn run(name: &str) -> Result<String, Failure> {
        let mut out = Vec::new();
        new(&TokenArgs { name: name.to_owned() }, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_hash_is_of_the_token_and_no_token_comes_twice() {
        let text = run("epic").unwrap();
        let after = |mark: &str| {
            let (_, rest) = text.split_once(mark).unwrap();
            rest.split(['"', '\n']).next().unwrap().to_owned()
        };
        let (token, hash) = (after("Bearer "), after("sha256 = \""));
        assert_eq!(token.len(), 43);
        let mut of_token = String::new();
        for byte in Sha256::digest(&token) {
            write!(of_token, "{byte:02x}").unwrap();
        }
        assert_eq!(hash, of_token);
        assert_eq!(after("tokens_file:\n  "), format!("epic {hash}"));
        assert!(!run("epic").unwrap().contains(&token));
    }

    #[test]
    fn names_that_would_break_a_file_are_refused() {
        for name in ["", "a b", "a\"", "é"] {
            assert!(matches!(run(name), Err(Failure::Usage(_))), "{name}");
        }
    }
}
