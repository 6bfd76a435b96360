//! Go's `fmt.Sprintf`, as far as log lines of modules use it.
//!
//! Where Go would refuse a whole number for `%f`, it is taken: a script does not tell the two apart.
//! `%j`, which Go lacks, shows JSON.

use std::fmt::Write;

use serde_json::Value;

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    sharp: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// `format` with its verbs replaced by `values`, in order.
pub(super) fn sprintf(format: &str, values: &[Value]) -> String {
    let mut out = String::with_capacity(format.len() + 16 * values.len());
    let mut values_left = values.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (spec, verb, after) = spec(&rest[at + 1..]);
        rest = after;
        match verb {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match values_left.next() {
                Some(value) => pad(&mut out, spec, &show(verb, spec, value)),
                None => {
                    let _ = write!(out, "%!{verb}(MISSING)");
                }
            },
        }
    }
    out.push_str(rest);
    let extra: Vec<String> = values_left.map(typed).collect();
    if !extra.is_empty() {
        let _ = write!(out, "%!(EXTRA {})", extra.join(", "));
    }
    out
}

fn spec(text: &str) -> (Spec, Option<char>, &str) {
    let mut spec = Spec::default();
    let mut chars = text.char_indices().peekable();
    while let Some((_, c)) = chars.peek() {
        match c {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '#' => spec.sharp = true,
            '0' => spec.zero = true,
            _ => break,
        }
        chars.next();
    }
    let mut number = || {
        let mut number = None;
        while let Some(digit) = chars.peek().and_then(|(_, c)| c.to_digit(10)) {
            // A width is for columns of a log: more is a mistake, or a way to fill the memory.
            number = Some((number.unwrap_or(0) * 10 + digit as usize).min(1000));
            chars.next();
        }
        let dot = chars.next_if(|(_, c)| *c == '.').is_some();
        (number, dot)
    };
    let (width, dot) = number();
    spec.width = width.unwrap_or(0);
    if dot {
        spec.precision = Some(number().0.unwrap_or(0));
    }
    match chars.next() {
        Some((_, verb)) => {
            let after = chars.next().map_or("", |(at, _)| &text[at..]);
            (spec, Some(verb), after)
        }
        None => (spec, None, ""),
    }
}

fn pad(out: &mut String, spec: Spec, text: &str) {
    let missing = spec.width.saturating_sub(text.chars().count());
    if spec.left {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if spec.zero {
        let digits = text.trim_start_matches(['+', '-', ' ']);
        out.push_str(&text[..text.len() - digits.len()]);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(digits);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(text);
    }
}

fn show(verb: char, spec: Spec, value: &Value) -> String {
    match (verb, value) {
        ('v', _) if spec.sharp => value.to_string(),
        ('v' | 'p', _) => plain(value),
        ('T', _) => type_name(value).to_owned(),
        ('j', _) => value.to_string(),
        (_, Value::Array(values)) => {
            let items: Vec<String> = values.iter().map(|value| show(verb, spec, value)).collect();
            format!("[{}]", items.join(" "))
        }
        (_, Value::Object(entries)) => map(entries, |value| show(verb, spec, value)),
        ('s', Value::String(text)) => match spec.precision {
            Some(length) => text.chars().take(length).collect(),
            None => text.clone(),
        },
        ('q', Value::String(_)) => value.to_string(),
        ('x', Value::String(text)) => hex::encode(text),
        ('X', Value::String(text)) => hex::encode_upper(text),
        ('t', Value::Bool(value)) => value.to_string(),
        (_, Value::Number(number)) => match whole(value) {
            Some(whole) if !"eEfFgG".contains(verb) => {
                integer(verb, spec, whole).unwrap_or_else(|| refused(verb, value))
            }
            _ => float(verb, spec, number.as_f64().unwrap_or_default())
                .unwrap_or_else(|| refused(verb, value)),
        },
        _ => refused(verb, value),
    }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64()
}

fn signed(spec: Spec, negative: bool, digits: &str) -> String {
    let sign = match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    format!("{sign}{digits}")
}

fn integer(verb: char, spec: Spec, value: i64) -> Option<String> {
    let size = value.unsigned_abs();
    let digits = match verb {
        'd' => size.to_string(),
        'x' if spec.sharp => format!("0x{size:x}"),
        'x' => format!("{size:x}"),
        'X' => format!("{size:X}"),
        'o' => format!("{size:o}"),
        'b' => format!("{size:b}"),
        'c' => return u32::try_from(value).ok().and_then(char::from_u32).map(String::from),
        'U' => return Some(format!("U+{size:04X}")),
        _ => return None,
    };
    Some(signed(spec, value < 0, &digits))
}

fn float(verb: char, spec: Spec, value: f64) -> Option<String> {
    let size = value.abs();
    let digits = match verb {
        'f' | 'F' => format!("{size:.*}", spec.precision.unwrap_or(6)),
        'e' | 'E' => scientific(size, Some(spec.precision.unwrap_or(6))),
        'g' | 'G' => general(size),
        _ => return None,
    };
    let digits = if verb.is_uppercase() { digits.to_uppercase() } else { digits };
    Some(signed(spec, value.is_sign_negative(), &digits))
}

/// `1.5e+06`: Go's exponents have a sign and two digits.
fn scientific(size: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{size:.precision$e}"),
        None => format!("{size:e}"),
    };
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// The shortest text that reads back as the number.
fn general(size: f64) -> String {
    if size != 0.0 && size.is_finite() && !(1e-4..1e21).contains(&size) {
        scientific(size, None)
    } else {
        size.to_string()
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => match whole(value) {
            Some(whole) => whole.to_string(),
            None => {
                let number = number.as_f64().unwrap_or_default();
                signed(Spec::default(), number.is_sign_negative(), &general(number.abs()))
            }
        },
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let items: Vec<String> = values.iter().map(plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(entries) => map(entries, plain),
    }
}

fn map(entries: &serde_json::Map<String, Value>, show: impl Fn(&Value) -> String) -> String {
    let mut items: Vec<String> =
        entries.iter().map(|(key, value)| format!("{key}:{}", show(value))).collect();
    items.sort();
    format!("map[{}]", items.join(" "))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) if whole(value).is_some() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn typed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        value => format!("{}={}", type_name(value), plain(value)),
    }
}

fn refused(verb: char, value: &Value) -> String {
    format!("%!{verb}({})", typed(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(format: &str, values: Value, expected: &str) {
        let values = values.as_array().cloned().unwrap_or_default();
        assert_eq!(sprintf(format, &values), expected);
    }

    #[test]
    fn verbs_show_what_go_shows() {
        check("%s has %d", json!(["Ann", 5]), "Ann has 5");
        check(
            "%v %v %v",
            json!([{ "b": [1, "x"], "a": null }, 1.5, true]),
            "map[a:<nil> b:[1 x]] 1.5 true",
        );
        check("%5d|%-5d|%05d|%+d", json!([7, 7, -7, 7]), "    7|7    |-0007|+7");
        check(
            "%.2f %f %e %g",
            json!([1.005, 2, 1500000.0, 1e21]),
            "1.00 2.000000 1.500000e+06 1e+21",
        );
        check("%x %X %x", json!(["hi", 255, -1]), "6869 FF -1");
        check(
            "%q %t %T %T",
            json!(["a\"b", false, 1, {}]),
            "\"a\\\"b\" false int64 map[string]interface {}",
        );
        check("%.2s|%4s", json!(["abc", "é"]), "ab|   é");
        check("%j", json!([{ "a": 1 }]), "{\"a\":1}");
    }

    #[test]
    fn mistakes_are_shown_in_place() {
        check("%d", json!(["x"]), "%!d(string=x)");
        check("%s", json!([null]), "%!s(<nil>)");
        check("%d and %d", json!([1]), "1 and %!d(MISSING)");
        check("done", json!([1, "x"]), "done%!(EXTRA int64=1, string=x)");
        check("100%", json!([]), "100%!(NOVERB)");
        check("100%%", json!([]), "100%");
    }
}
