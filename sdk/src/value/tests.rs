#![allow(clippy::unwrap_used, reason = "a test")]

use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Parameters {
    user_id: Uuid,
    #[serde(default = "hundred")]
    limit: i64,
    #[serde(default)]
    cursor: String,
    state: Option<i32>,
}

fn hundred() -> i64 {
    100
}

const ANN: &str = "11111111-1111-4111-8111-111111111111";

fn read(values: Vec<Value>) -> Result<Parameters, String> {
    Parameters::deserialize(Positional(values)).map_err(|error| error.to_string())
}

fn text(text: &str) -> Value {
    Kind::String(text.to_owned()).into()
}

#[test]
fn arguments_fill_the_fields_in_order() {
    let values = vec![text(ANN), Kind::Int(5).into(), text("next"), Kind::Int(2).into()];
    let expected = Parameters {
        user_id: Uuid::parse_str(ANN).unwrap(),
        limit: 5,
        cursor: "next".into(),
        state: Some(2),
    };
    assert_eq!(read(values), Ok(expected));
}

#[test]
fn null_and_missing_arguments_leave_the_default() {
    let missing = read(vec![text(ANN)]).unwrap();
    assert_eq!((missing.limit, missing.cursor.as_str(), missing.state), (100, "", None));
    let null = read(vec![text(ANN), Value::NULL, Value::NULL, Value::NULL, Value::NULL]).unwrap();
    assert_eq!(null, missing);
}

#[test]
fn a_bad_argument_is_named_by_position_and_field() {
    assert_eq!(
        read(vec![text(ANN), Value::NULL, Kind::Int(1).into()]).unwrap_err(),
        "bad argument #3 (cursor): invalid type: integer `1`, expected a string"
    );
    assert_eq!(read(vec![]).unwrap_err(), "missing field `user_id`");
}

#[test]
fn a_double_without_a_fraction_counts_as_a_whole_number() {
    assert_eq!(read(vec![text(ANN), Kind::Double(7.0).into()]).unwrap().limit, 7);
    let error = read(vec![text(ANN), Kind::Double(7.5).into()]).unwrap_err();
    assert_eq!(error, "bad argument #2 (limit): invalid type: floating point `7.5`, expected i64");
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
enum Shape {
    Dot,
    Line(f64),
    Box { width: u8, height: u8 },
    Pair(i32, i32),
}

#[test]
fn values_come_back_as_they_went() {
    let document = json!({
        "null": null, "bool": true, "int": -3, "big": i64::MAX, "double": 1.5, "text": "é",
        "list": [1, [2, {}], null], "map": {"a": {"b": []}},
    });
    let value = to_value(&document).unwrap();
    let sent = Value::decode(value.encode_to_vec().as_slice()).unwrap();
    assert_eq!(from_value::<serde_json::Value>(sent).unwrap(), document);

    for shape in
        [Shape::Dot, Shape::Line(2.5), Shape::Box { width: 1, height: 2 }, Shape::Pair(3, 4)]
    {
        assert_eq!(from_value::<Shape>(to_value(&shape).unwrap()).unwrap(), shape);
    }
}

#[test]
fn null_takes_no_bytes_and_too_large_numbers_become_doubles() {
    assert!(to_value(&None::<i32>).unwrap().encode_to_vec().is_empty());
    assert_eq!(to_value(&u64::MAX).unwrap(), Kind::Double(u64::MAX as f64).into());
}

#[test]
fn bytes_stay_bytes_and_fill_lists_of_bytes_and_texts() {
    struct Raw;
    impl Serialize for Raw {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&[104, 105])
        }
    }
    let bytes = to_value(&Raw).unwrap();
    assert_eq!(bytes, Kind::Bytes(vec![104, 105]).into());
    assert_eq!(from_value::<Vec<u8>>(bytes.clone()).unwrap(), [104, 105]);
    assert_eq!(from_value::<String>(bytes).unwrap(), "hi");
}

#[test]
fn map_keys_are_data_and_become_text() {
    let by_number = std::collections::BTreeMap::from([(7, "seven")]);
    assert_eq!(to_value(&by_number).unwrap(), to_value(&json!({"7": "seven"})).unwrap());
    let by_list = std::collections::BTreeMap::from([(vec![1], 1)]);
    assert_eq!(
        to_value(&by_list).unwrap_err().to_string(),
        "a map key must be text, a whole number or a bool"
    );
}

#[test]
fn arguments_come_from_a_tuple_a_single_value_or_nothing() {
    let values = |arguments: Arguments| arguments.values;
    assert_eq!(values(to_arguments(&("a", 1)).unwrap()), [text("a"), Kind::Int(1).into()]);
    assert_eq!(values(to_arguments("a").unwrap()), [text("a")]);
    assert_eq!(values(to_arguments(&()).unwrap()), []);
}
