//! Numbers as text.

/// A number as the reference's Lua shows it: whole numbers without a fraction, others by their
/// shortest digits, with an exponent of two digits below 1e-4 and from 1e6 up.
///
/// Source: Nakama, `internal/gopher-lua/value.go` (`LNumber.String`) on Go's `%v`.
pub(super) fn text(value: f64) -> String {
    if let Some(whole) = whole(value) {
        return whole.to_string();
    }
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match scientific(value) {
        (digits, exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

/// A number as JSON has it, or `None` for one that JSON has no form for.
///
/// Source: Go's `encoding/json`.
pub(super) fn json(value: f64) -> Option<String> {
    if let Some(whole) = whole(value) {
        return Some(whole.to_string());
    }
    if !value.is_finite() {
        return None;
    }
    Some(match scientific(value) {
        (digits, exponent) if !(-6..21).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{}", exponent.abs())
        }
        _ => value.to_string(),
    })
}

/// `value` without its fraction, as far as 64 bits hold it; 0 where it is no number.
#[allow(clippy::cast_possible_truncation, reason = "cut to what fits")]
pub(super) fn cut(value: f64) -> i64 {
    value as i64
}

/// `value` as an integer, if it is one that 64 bits hold.
#[allow(clippy::cast_possible_truncation, reason = "checked by the comparison")]
pub(super) fn whole(value: f64) -> Option<i64> {
    // The greatest i64 is not a float: what is below 2^63 fits.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    (fits && value.trunc() == value).then_some(value as i64)
}

/// The shortest digits of a finite number and its decimal exponent.
fn scientific(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => (digits.to_owned(), exponent.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_the_reference() {
        for (value, expected) in [
            (3.0, "3"),
            (3.5, "3.5"),
            (1e15, "1000000000000000"),
            (-0.0, "0"),
            (1.0 / 3.0, "0.3333333333333333"),
            (9_223_372_036_854_775_808.0, "9.223372036854776e+18"),
            (1e-7, "1e-07"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123_456.5, "123456.5"),
            (1_234_567.5, "1.2345675e+06"),
            (1e300, "1e+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn json_numbers_read_as_in_the_reference() {
        for (value, expected) in [
            (5.0, Some("5")),
            (1.5, Some("1.5")),
            (1e-7, Some("1e-7")),
            (0.00001, Some("0.00001")),
            (1e20, Some("100000000000000000000")),
            (1e21, Some("1e+21")),
            (9_223_372_036_854_775_808.0, Some("9223372036854776000")),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(json(value).as_deref(), expected);
        }
    }
}
