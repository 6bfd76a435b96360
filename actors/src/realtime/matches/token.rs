//! Match tokens: what the matchmaker gives to those whom it brought together, to join with.

use guildhall_core::session::TokenKey;
use serde::{Deserialize, Serialize};

/// The claims, in the reference's names.
#[derive(Deserialize, Serialize)]
struct Claims {
    exp: i64,
    mid: String,
}

/// A token for the match with this id, which ends at `expires_s` (Unix seconds).
///
/// Source: Nakama, `LocalMatchmaker.processDefault`.
pub fn issue(key: &TokenKey, match_id: &str, expires_s: i64) -> String {
    key.sign(&Claims { exp: expires_s, mid: match_id.to_owned() })
}

/// The id of the match that `token` is for, if `key` signed it and it has not ended at `now_s` (Unix
/// seconds).
pub fn match_of(key: &TokenKey, token: &str, now_s: i64) -> Option<String> {
    let claims: Claims = key.open(token)?;
    (now_s < claims.exp).then_some(claims.mid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_700_000_000;

    #[test]
    fn a_token_names_its_match_until_it_ends() {
        let key = TokenKey::new(b"defaultencryptionkey");
        let token = issue(&key, "3f7dd25c-5b45-4f52-8d2d-1a4c1d1b0f11.", NOW_S + 30);
        let named = Some("3f7dd25c-5b45-4f52-8d2d-1a4c1d1b0f11.".to_owned());
        assert_eq!(match_of(&key, &token, NOW_S + 29), named);
        assert_eq!(match_of(&key, &token, NOW_S + 30), None);
        assert_eq!(match_of(&TokenKey::new(b"other"), &token, NOW_S), None);
        assert_eq!(match_of(&key, "x", NOW_S), None);
    }
}
