//! Query strings, by the rules of the reference's library.

use std::borrow::Cow;
use std::fmt;

/// Why something is not part of a query string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Two hexadecimal digits do not follow a `%`: the escape as it stands.
    Escape(String),
    /// Pairs are separated by `&`, not by semicolons.
    Semicolon,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Escape(escape) => write!(f, "invalid URL escape \"{escape}\""),
            Self::Semicolon => f.write_str("invalid semicolon separator in query"),
        }
    }
}

/// One `key=value`, unescaped. Not always UTF-8.
pub(crate) type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The pairs of `query` in their order; a malformed one in its place.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Result<Pair<'_>, Malformed>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        if pair.contains(';') {
            return Err(Malformed::Semicolon);
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((unescape(key, true)?, unescape(value, true)?))
    })
}

/// `text` with its percent escapes undone; with `plus_is_space`, also the spaces of a form.
///
/// # Errors
/// [`Malformed::Escape`].
pub(crate) fn unescape(text: &str, plus_is_space: bool) -> Result<Cow<'_, [u8]>, Malformed> {
    let bytes = text.as_bytes();
    let escaped = |byte: &u8| *byte == b'%' || plus_is_space && *byte == b'+';
    let Some(first) = bytes.iter().position(escaped) else {
        return Ok(Cow::Borrowed(bytes));
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    loop {
        rest = match rest {
            [] => return Ok(Cow::Owned(out)),
            [b'%', after @ ..] => {
                let Some((byte, after)) = hexadecimal(after) else {
                    let escape = &rest[..rest.len().min(3)];
                    return Err(Malformed::Escape(String::from_utf8_lossy(escape).into_owned()));
                };
                out.push(byte);
                after
            }
            [byte, after @ ..] => {
                out.push(if plus_is_space && *byte == b'+' { b' ' } else { *byte });
                after
            }
        };
    }
}

/// The byte that the first two hexadecimal digits of `text` make, and what follows them.
fn hexadecimal(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, after @ ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    // Two hexadecimal digits are at most 255.
    Some(((digit(*high)? * 16 + digit(*low)?) as u8, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: &[Result<(&str, &[u8]), Malformed>]) {
        let owned: Vec<_> = pairs(query).collect();
        let found: Vec<_> = owned
            .iter()
            .map(|pair| match pair {
                Ok((key, value)) => Ok((std::str::from_utf8(key).unwrap_or("?"), value.as_ref())),
                Err(error) => Err(error.clone()),
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn pairs_are_unescaped() {
        check("", &[]);
        check("a=1&&b", &[Ok(("a", b"1")), Ok(("b", b""))]);
        check("%61+b=c+d%2B%3d&x=%ff", &[Ok(("a b", b"c d+=")), Ok(("x", b"\xff"))]);
        check("a=b=c&=d", &[Ok(("a", b"b=c")), Ok(("", b"d"))]);
    }

    #[test]
    fn malformed_pairs_are_told_apart() {
        let escape = |text: &str| Err(Malformed::Escape(text.into()));
        check(
            "a=%zz1&b=%4&c=1;d=2&e=5",
            &[escape("%zz"), escape("%4"), Err(Malformed::Semicolon), Ok(("e", b"5"))],
        );
    }

    #[test]
    fn a_plus_in_a_path_stays() {
        assert_eq!(unescape("a+b%20c", false).as_deref(), Ok(b"a+b c".as_slice()));
    }
}
