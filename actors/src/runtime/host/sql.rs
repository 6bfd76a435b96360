//! SQL of modules: any statement, with parameters apart from the text.
//!
//! Parameters go to PostgreSQL as text, which it reads by the type that the statement gives them.
//! Results are read by their type; a type that cannot be read is named, with the cast that helps.

use std::{error::Error as StdError, fmt::Write as _, net::IpAddr, sync::Arc};

use bytes::{BufMut as _, BytesMut};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use guildhall_core::{Code, Result, Status};
use schemars::JsonSchema;
use serde::{
    Deserialize, Serialize, Serializer,
    de::{Deserializer, MapAccess, SeqAccess, Visitor, value},
};
use serde_bytes::ByteBuf;
use serde_json::{Map, Value};
use tokio_postgres::{
    Row,
    types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked},
};
use uuid::Uuid;

use super::filled;
use crate::{
    cx::Cx,
    database::{DbError, Sql as _},
    host::{HostFn, Language, Origin, Returns},
};

/// `nk.sql_exec(query, parameters)`: how many rows the statement touched.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SqlExec {
    query: String,
    #[serde(default)]
    parameters: Params,
}

/// How many rows a statement touched.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "SqlExecResult")]
pub struct Touched {
    rows_affected: u64,
}

impl HostFn for SqlExec {
    const NAME: &'static str = "sql_exec";
    const RETURNS: Returns = Returns::Each;
    type Output = Touched;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Touched> {
        filled("query", self.query.as_bytes())?;
        let rows_affected =
            cx.db.execute(&self.query, &self.parameters.refs()).await.map_err(failed)?;
        Ok(Touched { rows_affected })
    }
}

/// `nk.sql_query(query, parameters)`: the rows, each a map from column to value.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SqlQuery {
    query: String,
    #[serde(default)]
    parameters: Params,
}

impl HostFn for SqlQuery {
    const NAME: &'static str = "sql_query";
    type Output = Vec<Record>;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<Record>> {
        filled("query", self.query.as_bytes())?;
        let rows = cx.db.query(&self.query, &self.parameters.refs()).await.map_err(failed)?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let columns: Arc<[String]> =
            first.columns().iter().map(|column| column.name().to_owned()).collect();
        rows.iter().map(|row| Record::read(row, Arc::clone(&columns), origin)).collect()
    }
}

/// What PostgreSQL said is the module's to mend, so it is told whole.
fn failed(error: DbError) -> guildhall_core::Error {
    if error.is_unavailable() {
        return error.into();
    }
    Status::of(Code::InvalidArgument, format!("failed to exec db query: {}", error.message()))
        .into()
}

/// The parameters of a statement, by position.
#[derive(Debug, Default, JsonSchema)]
#[schemars(from = "Vec<Value>", into = "Vec<Value>")]
struct Params(Vec<Param>);

impl Params {
    fn refs(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Params;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of query parameters")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Params, A::Error> {
                let mut params = Vec::new();
                while let Some(param) = list.next_element()? {
                    params.push(param);
                }
                Ok(Params(params))
            }
            // An empty Lua table may come as a map.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params, A::Error> {
                match map.next_key::<String>()? {
                    None => Ok(Params::default()),
                    Some(_) => Err(serde::de::Error::custom("expects a list of query parameters")),
                }
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// One parameter.
#[derive(Debug)]
enum Param {
    Null,
    Text(String),
    Bytes(Vec<u8>),
    Json(Value),
}

impl<'de> Deserialize<'de> for Param {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyParam)
    }
}

struct AnyParam;

impl<'de> Visitor<'de> for AnyParam {
    type Value = Param;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a query parameter")
    }
    fn visit_unit<E>(self) -> Result<Param, E> {
        Ok(Param::Null)
    }
    fn visit_none<E>(self) -> Result<Param, E> {
        Ok(Param::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Param, D::Error> {
        Param::deserialize(inner)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Param, E> {
        Ok(Param::Text(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Param, E> {
        Ok(Param::Text(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Param, E> {
        Ok(Param::Text(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Param, E> {
        Ok(Param::Text(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Param, E> {
        Ok(Param::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Param, E> {
        Ok(Param::Text(value))
    }
    fn visit_bytes<E>(self, value: &[u8]) -> Result<Param, E> {
        Ok(match std::str::from_utf8(value) {
            Ok(text) => Param::Text(text.to_owned()),
            Err(_) => Param::Bytes(value.to_vec()),
        })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Param, A::Error> {
        Value::deserialize(value::SeqAccessDeserializer::new(list)).map(Param::Json)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Param, A::Error> {
        Value::deserialize(value::MapAccessDeserializer::new(map)).map(Param::Json)
    }
}

impl ToSql for Param {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Bytes(bytes) => {
                out.put_slice(b"\\x");
                out.put_slice(hex::encode(bytes).as_bytes());
            }
            Self::Json(Value::Array(items)) if matches!(ty.kind(), Kind::Array(_)) => {
                out.put_slice(array_literal(items).as_bytes());
            }
            Self::Json(value) => out.put_slice(value.to_string().as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A list as PostgreSQL writes arrays: `{"a","b",NULL}`.
fn array_literal(items: &[Value]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|item| match item {
            Value::Null => "NULL".to_owned(),
            Value::Array(items) => array_literal(items),
            Value::String(text) => quoted(text),
            other => quoted(&other.to_string()),
        })
        .collect();
    format!("{{{}}}", items.join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// One row.
#[derive(Debug, JsonSchema)]
#[schemars(from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Record {
    columns: Arc<[String]>,
    cells: Vec<Cell>,
}

impl Record {
    fn read(row: &Row, columns: Arc<[String]>, origin: Origin<'_>) -> Result<Self> {
        let cells = (0..columns.len()).map(|at| cell(row, at, origin)).collect::<Result<_>>()?;
        Ok(Self { columns, cells })
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().zip(&self.cells))
    }
}

/// One value of a row.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(ByteBuf),
    List(Vec<Cell>),
}

fn cell(row: &Row, at: usize, origin: Origin<'_>) -> Result<Cell> {
    let column = &row.columns()[at];
    let ty = column.type_().clone();
    let raw: Option<Raw<'_>> =
        row.try_get(at).map_err(|error| unreadable(column.name(), &ty, error))?;
    let Some(Raw(raw)) = raw else { return Ok(Cell::Null) };
    read(&ty, raw, origin).map_err(|error| unreadable(column.name(), &ty, error))
}

fn unreadable(column: &str, ty: &Type, error: impl std::fmt::Display) -> guildhall_core::Error {
    let message = format!(
        "failed to scan row results: column {column} of type {ty}: {error}; cast it to text"
    );
    Status::of(Code::InvalidArgument, message).into()
}

/// A value's bytes as they came.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

type Read<T> = Result<T, Box<dyn StdError + Sync + Send>>;

fn read(ty: &Type, raw: &[u8], origin: Origin<'_>) -> Read<Cell> {
    if let Kind::Array(item) = ty.kind() {
        let items = Vec::<Option<Raw<'_>>>::from_sql(ty, raw)?;
        let items = items.into_iter().map(|item_raw| match item_raw {
            Some(Raw(raw)) => read(item, raw, origin),
            None => Ok(Cell::Null),
        });
        return items.collect::<Read<_>>().map(Cell::List);
    }
    if let Kind::Enum(_) = ty.kind() {
        return Ok(Cell::Text(std::str::from_utf8(raw)?.to_owned()));
    }
    Ok(match *ty {
        Type::BOOL => Cell::Bool(bool::from_sql(ty, raw)?),
        Type::CHAR => Cell::Int(i8::from_sql(ty, raw)?.into()),
        Type::INT2 => Cell::Int(i16::from_sql(ty, raw)?.into()),
        Type::INT4 => Cell::Int(i32::from_sql(ty, raw)?.into()),
        Type::INT8 => Cell::Int(i64::from_sql(ty, raw)?),
        Type::OID => Cell::Int(u32::from_sql(ty, raw)?.into()),
        Type::FLOAT4 => Cell::Float(f32::from_sql(ty, raw)?.into()),
        Type::FLOAT8 => Cell::Float(f64::from_sql(ty, raw)?),
        Type::NUMERIC => Cell::Text(numeric(raw).ok_or("malformed numeric")?),
        Type::BYTEA => Cell::Bytes(ByteBuf::from(raw)),
        Type::UUID => Cell::Text(Uuid::from_sql(ty, raw)?.to_string()),
        Type::JSONB => {
            Cell::Text(std::str::from_utf8(raw.get(1..).unwrap_or_default())?.to_owned())
        }
        Type::TIMESTAMPTZ => instant(DateTime::<Utc>::from_sql(ty, raw)?, origin),
        Type::TIMESTAMP => instant(NaiveDateTime::from_sql(ty, raw)?.and_utc(), origin),
        Type::DATE => {
            instant(NaiveDate::from_sql(ty, raw)?.and_time(NaiveTime::MIN).and_utc(), origin)
        }
        Type::TIME => Cell::Text(NaiveTime::from_sql(ty, raw)?.to_string()),
        Type::INET => Cell::Text(IpAddr::from_sql(ty, raw)?.to_string()),
        Type::VOID => Cell::Null,
        Type::JSON
        | Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::UNKNOWN
        | Type::XML => Cell::Text(std::str::from_utf8(raw)?.to_owned()),
        _ => return Err("not a type that modules can read".into()),
    })
}

/// Unix seconds in Lua, RFC 3339 text elsewhere.
fn instant(instant: DateTime<Utc>, origin: Origin<'_>) -> Cell {
    match origin.language {
        Language::Lua => Cell::Int(instant.timestamp()),
        Language::JavaScript | Language::Native => {
            Cell::Text(instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        }
    }
}

/// A `numeric` as text, from its binary form: groups of four decimal digits, the weight of the
/// first, the sign, and the digits behind the point.
///
/// Source: PostgreSQL, `src/backend/utils/adt/numeric.c`, `numeric_send`.
fn numeric(raw: &[u8]) -> Option<String> {
    const NEGATIVE: u16 = 0x4000;
    let mut words = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let (count, weight, sign, scale) =
        (words.next()?, words.next()?.cast_signed(), words.next()?, usize::from(words.next()?));
    match sign {
        0 | NEGATIVE => {}
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return Some("NaN".to_owned()),
    }
    let groups: Vec<u16> = words.take(usize::from(count)).collect();
    // The group of 10000^power, zero where it is not stored.
    let group = |power: i32| {
        let at = i32::from(weight) - power;
        usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0)
    };
    let mut text = if sign == NEGATIVE { "-".to_owned() } else { String::new() };
    let top = i32::from(weight).max(0);
    write!(text, "{}", group(top)).ok()?;
    for power in (0..top).rev() {
        write!(text, "{:04}", group(power)).ok()?;
    }
    if scale > 0 {
        let mut fraction = String::new();
        let mut power = -1;
        while fraction.len() < scale {
            write!(fraction, "{:04}", group(power)).ok()?;
            power -= 1;
        }
        fraction.truncate(scale);
        write!(text, ".{fraction}").ok()?;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_numeric(words: &[u16], expected: &str) {
        let raw: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(numeric(&raw).as_deref(), Some(expected));
    }

    #[test]
    fn numerics_are_read_digit_by_digit() {
        check_numeric(&[0, 0, 0, 0], "0");
        check_numeric(&[2, 1, 0, 0, 12, 3456], "123456");
        check_numeric(&[1, 1, 0x4000, 0, 5], "-50000");
        check_numeric(&[2, 0, 0, 2, 1, 2500], "1.25");
        check_numeric(&[1, 0xFFFF, 0, 4, 5], "0.0005");
        check_numeric(&[0, 0, 0xC000, 0], "NaN");
    }

    #[test]
    fn lists_become_array_literals() {
        let list = json!(["a\"b", null, 5, ["c\\d"]]);
        let Value::Array(items) = list else { unreachable!() };
        assert_eq!(array_literal(&items), r#"{"a\"b",NULL,"5",{"c\\d"}}"#);
    }
}
