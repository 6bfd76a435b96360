//! What the texts that identify an account may hold.
//!
//! Source: Nakama, `server/api_authenticate.go`.

/// Whether `text` holds a space or an ASCII control character.
pub(super) fn has_space_or_control(text: &str) -> bool {
    text.bytes().any(|byte| byte == b' ' || byte.is_ascii_control())
}

/// Whether `text` holds an ASCII control character, or `[]`: the reference's pattern is meant to
/// refuse white space, but says this.
pub(super) fn is_bad_username(text: &str) -> bool {
    text.contains("[]") || text.bytes().any(|byte| byte.is_ascii_control())
}

/// Whether `text` looks like an address: something, `@`, something, a dot, something.
pub(super) fn is_email(text: &str) -> bool {
    // With the first @ that has something before it and the last dot that has something behind it,
    // what stands between them is as long as it can be.
    let Some(at) = text.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at) else {
        return false;
    };
    let mut backwards = text.char_indices().rev();
    backwards.next();
    backwards.find(|(_, c)| *c == '.').is_some_and(|(dot, _)| dot > at + 1)
}

/// An address as it is stored: in lower case, character by character as Go does it.
pub(super) fn normal_email(text: &str) -> String {
    text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_may_hold_spaces_and_brackets_but_not_both_brackets_together() {
        for good in ["ann", "space ann", "a[b]", "][", "é\u{85}", ""] {
            assert!(!is_bad_username(good), "{good:?}");
        }
        for bad in ["a[]", "[]", "tab\t", "line\n", "\u{7f}", "\0"] {
            assert!(is_bad_username(bad), "{bad:?}");
        }
    }

    #[test]
    fn ids_hold_neither_spaces_nor_control_characters() {
        for good in ["ünïcödé", "a[]", "no\u{a0}break"] {
            assert!(!has_space_or_control(good), "{good:?}");
        }
        for bad in ["a b", "a\n", "a\u{b}", "\u{7f}"] {
            assert!(has_space_or_control(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_check_of_addresses_is_a_loose_one() {
        for good in ["a@b.c", "a@b@c.d", "@@.@.@", "ä@ö.ü", "a@..b", "a@b.c.", "@@@.x"] {
            assert!(is_email(good), "{good:?}");
        }
        for bad in ["", "a", "@b.c", "a@.c", "a@b.", "a@b", "a.b@c", "a@.", "."] {
            assert!(!is_email(bad), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_stored_in_lower_case() {
        assert_eq!(normal_email("Ann.Ä@EXAMPLE.com"), "ann.ä@example.com");
        assert_eq!(normal_email("ΑΣ@İ.x"), "ασ@i.x");
    }
}
