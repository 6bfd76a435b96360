//! From path, query and body to a request message, by the `google.api.http` rules.
//!
//! Bodies are read by the messages' own JSON form. Path and query name single fields; their values
//! are written as protobuf's binary form and merged, which needs nothing but the descriptor.

use std::borrow::Cow;

use guildhall_actors::endpoint::{Body, Message};
use guildhall_core::{Code, Error, Result, Status};
use guildhall_proto::Timestamp;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};

use super::query::{self, Malformed};

/// The reference fails at this only when it passes the request on, hence the code and the text.
const NOT_UTF_8: Status = Status::new(
    Code::Internal,
    "grpc: error while marshaling: string field contains invalid UTF-8",
);

/// How requests of one route are bound to their message. Made once for each route.
#[derive(Debug)]
pub(super) struct Binding {
    body: Body,
    message: MessageDescriptor,
    /// The fields that the path fills, in the order of the template.
    params: Vec<FieldDescriptor>,
    /// Whether there are fields that only the query can fill; otherwise it is not even parsed.
    reads_query: bool,
}

impl Binding {
    /// The binding of `M` where the path fills the fields named `params`, or the first name that `M`
    /// does not have.
    pub(super) fn new<'a, M: Message>(body: Body, params: &[&'a str]) -> Result<Self, &'a str> {
        let message = M::descriptor().ok_or(M::NAME)?;
        let fields: Result<Vec<_>, _> =
            params.iter().map(|name| message.get_field_by_name(name).ok_or(*name)).collect();
        let bound = params.len() + usize::from(matches!(body, Body::Field(_)));
        let reads_query = body != Body::Whole && message.fields().len() > bound;
        Ok(Self { body, params: fields?, reads_query, message })
    }

    /// The request that path, query and body make. `params` are the values of the path, unescaped.
    ///
    /// # Errors
    /// Code 3 where a value is not what its field needs; code 13 where a text is not UTF-8.
    pub(super) fn bind<M: Message>(
        &self,
        params: &[Cow<'_, [u8]>],
        query: &str,
        body: &[u8],
    ) -> Result<M> {
        let mut request: M = match self.body {
            Body::None => M::default(),
            Body::Whole => read_body(body, None)?,
            Body::Field(field) => read_body(body, Some(field))?,
        };
        let mut wire = Vec::new();
        for (field, value) in self.params.iter().zip(params) {
            put(field, value, &mut wire)?;
        }
        if self.reads_query && !query.is_empty() {
            self.put_query(query, &mut wire)?;
        }
        if !wire.is_empty() {
            let merged = request.merge(wire.as_slice());
            merged.map_err(|error| invalid(format!("cannot read path and query: {error}")))?;
        }
        Ok(request)
    }

    fn put_query(&self, query: &str, wire: &mut Vec<u8>) -> Result<()> {
        let pairs: Result<Vec<_>, Malformed> = query::pairs(query).collect();
        let mut pairs = pairs.map_err(|malformed| invalid(malformed.to_string()))?;
        // Stable, so that the values of a repeated field keep their order.
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        for same_key in pairs.chunk_by(|a, b| a.0 == b.0) {
            // A field's name is text; what is not text is unknown and ignored.
            let Ok(key) = std::str::from_utf8(&same_key[0].0) else { continue };
            let values: Vec<&[u8]> = same_key.iter().map(|pair| pair.1.as_ref()).collect();
            self.put_query_values(key, values, wire)?;
        }
        Ok(())
    }

    fn put_query_values<'a>(
        &self,
        key: &'a str,
        mut values: Vec<&'a [u8]>,
        wire: &mut Vec<u8>,
    ) -> Result<()> {
        // `vars[name]=value` names the entry of a map; elsewhere the name becomes a first value.
        let (path, entry) = match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
            Some((path, entry)) => (path, Some(entry)),
            None => (key, None),
        };
        if let Some(entry) = entry {
            values.insert(0, entry.as_bytes());
        }
        match self.find(path)? {
            Some(found) if !self.is_bound(&found[0]) => put_path(&found, &values, wire),
            // Unknown parameters are not an error, and what path or body fill the query cannot.
            _ => Ok(()),
        }
    }

    /// The fields on a dotted path, or `None` where a name is unknown.
    fn find(&self, path: &str) -> Result<Option<Vec<FieldDescriptor>>> {
        let mut message = self.message.clone();
        let mut found: Vec<FieldDescriptor> = Vec::new();
        for name in path.split('.') {
            if let Some(parent) = found.last() {
                match parent.kind() {
                    Kind::Message(inner) if !parent.is_list() && !parent.is_map() => {
                        message = inner
                    }
                    _ if self.is_bound(&found[0]) => return Ok(None),
                    _ => {
                        return Err(invalid(format!(
                            "invalid path: \"{}\" is not a message",
                            parent.name()
                        )));
                    }
                }
            }
            match message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name)) {
                Some(field) => found.push(field),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// Whether path or body fill the field, so that the query may not.
    fn is_bound(&self, field: &FieldDescriptor) -> bool {
        self.params.contains(field)
            || matches!(self.body, Body::Field(name) if name == field.name())
    }
}

/// Reads the first JSON value of `body` into the message, or into its field `field`; nothing is `{}`.
fn read_body<M: Message>(body: &[u8], field: Option<&str>) -> Result<M> {
    let text = match body.trim_ascii_start() {
        b"" => b"{}",
        text => text,
    };
    let mut json = serde_json::Deserializer::from_slice(text);
    match field {
        // Within a message `null` means not given, but a body must be an object.
        Some(_) if text.starts_with(b"null") => Err(invalid("body: expected an object, not null")),
        Some(name) => M::deserialize(OneField { name, json: &mut json }).map_err(not_a_body),
        None => M::deserialize(&mut json).map_err(not_a_body),
    }
}

fn not_a_body(error: serde_json::Error) -> Error {
    invalid(format!("body: {error}"))
}

fn invalid(message: impl Into<String>) -> Error {
    Status::of(Code::InvalidArgument, message).into()
}

/// A message of which only one field is given: the next value of `json`.
struct OneField<'a, 'de> {
    name: &'a str,
    json: &'a mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>,
}

impl<'de> Deserializer<'de> for OneField<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(OneEntry { name: Some(self.name), json: self.json })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct OneEntry<'a, 'de> {
    name: Option<&'a str>,
    json: &'a mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>,
}

impl<'de> MapAccess<'de> for OneEntry<'_, 'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        self.name.take().map(|name| seed.deserialize(name.into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        seed.deserialize(&mut *self.json)
    }
}

/// Writes `values` for the last field of `path`, within the messages before it.
fn put_path(path: &[FieldDescriptor], values: &[&[u8]], wire: &mut Vec<u8>) -> Result<()> {
    let [outer @ .., field] = path else { return Ok(()) };
    let mut inner = Vec::new();
    if field.is_map() {
        let [key, value] = values else {
            return Err(invalid(format!(
                "one key and one value are needed for map \"{}\"",
                field.full_name()
            )));
        };
        if let Kind::Message(entry) = field.kind() {
            let mut fields = Vec::new();
            put(&entry.map_entry_key_field(), key, &mut fields)?;
            put(&entry.map_entry_value_field(), value, &mut fields)?;
            put_bytes(field.number(), &fields, &mut inner);
        }
    } else if field.is_list() || values.len() == 1 {
        for value in values {
            put(field, value, &mut inner)?;
        }
    } else {
        let values: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
        return Err(invalid(format!(
            "too many values for field \"{}\": {}",
            field.name(),
            values.join(", ")
        )));
    }
    for message in outer.iter().rev() {
        let content = std::mem::take(&mut inner);
        put_bytes(message.number(), &content, &mut inner);
    }
    wire.append(&mut inner);
    Ok(())
}

/// Writes one value of `field` in protobuf's binary form, read from its text form.
fn put(field: &FieldDescriptor, value: &[u8], wire: &mut Vec<u8>) -> Result<()> {
    let Ok(text) = std::str::from_utf8(value) else {
        return Err(NOT_UTF_8.into());
    };
    put_text(field, text, wire).map_err(|needs| {
        invalid(format!("parsing field \"{}\": \"{text}\" is not {needs}", field.name()))
    })
}

/// As [`put`]; an error says what the field needs.
fn put_text(field: &FieldDescriptor, text: &str, wire: &mut Vec<u8>) -> Result<(), &'static str> {
    let number = field.number();
    match field.kind() {
        Kind::String => put_bytes(number, text.as_bytes(), wire),
        Kind::Bool => put_varint(number, u64::from(bool_of(text).ok_or("true or false")?), wire),
        Kind::Int32 => {
            let value: i32 = text.parse().map_err(|_| "a 32-bit integer")?;
            // Protobuf extends the sign to 64 bits.
            put_varint(number, i64::from(value) as u64, wire);
        }
        Kind::Int64 => {
            let value: i64 = text.parse().map_err(|_| "a 64-bit integer")?;
            put_varint(number, value as u64, wire);
        }
        Kind::Uint32 => {
            let value: Option<u32> = unsigned(text);
            put_varint(number, u64::from(value.ok_or("an unsigned 32-bit integer")?), wire);
        }
        Kind::Uint64 => {
            put_varint(number, unsigned(text).ok_or("an unsigned 64-bit integer")?, wire)
        }
        Kind::Enum(kind) => {
            let by_number = || text.parse().ok().and_then(|number| kind.get_value(number));
            let value =
                kind.get_value_by_name(text).or_else(by_number).ok_or("a value of the enum")?;
            put_varint(number, i64::from(value.number()) as u64, wire);
        }
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
            let text = StrDeserializer::<serde::de::value::Error>::new(text);
            let time = Timestamp::deserialize(text).map_err(|_| "an RFC 3339 time")?;
            put_bytes(number, &time.encode_to_vec(), wire);
        }
        Kind::Message(message) => {
            let mut inner = Vec::new();
            let wrapped = message.get_field(1).filter(|_| is_wrapper(&message));
            put_text(&wrapped.ok_or("possible for a message")?, text, &mut inner)?;
            put_bytes(number, &inner, wire);
        }
        _ => return Err("possible for a field of this type"),
    }
    Ok(())
}

fn is_wrapper(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
        && message.name().ends_with("Value")
        && message.fields().len() == 1
}

/// The texts for true and false that the reference's library knows.
fn bool_of(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// An unsigned number without a sign, which Rust alone would accept.
fn unsigned<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

fn put_varint(number: u32, value: u64, wire: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, wire);
    encode_varint(value, wire);
}

fn put_bytes(number: u32, value: &[u8], wire: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, wire);
    encode_varint(value.len() as u64, wire);
    wire.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fmt::Debug;

    use guildhall_proto::Empty;
    use guildhall_proto::api::*;

    use super::*;

    fn bind<M: Message>(body: Body, params: &[(&str, &str)], query: &str, text: &str) -> Result<M> {
        let names: Vec<&str> = params.iter().map(|param| param.0).collect();
        let values: Vec<_> = params.iter().map(|param| Cow::Borrowed(param.1.as_bytes())).collect();
        Binding::new::<M>(body, &names).unwrap().bind(&values, query, text.as_bytes())
    }

    #[track_caller]
    fn query<M: Message + PartialEq + Debug>(query: &str, expected: M) {
        assert_eq!(bind::<M>(Body::None, &[], query, "").unwrap(), expected);
    }

    #[track_caller]
    fn refused<M: Message + Debug>(result: Result<M>, code: Code, message: &str) {
        let error = result.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(message), "{error}");
    }

    #[track_caller]
    fn query_refused<M: Message + Debug>(query: &str, message: &str) {
        refused(bind::<M>(Body::None, &[], query, ""), Code::InvalidArgument, message);
    }

    const SIGN_IN: Body = Body::Field("account");

    #[test]
    fn a_whole_body_fills_the_message_and_the_query_is_not_read() {
        let request: UpdateAccountRequest =
            bind(Body::Whole, &[], "location=there&x=%zz", r#"{"displayName":"A"}"#).unwrap();
        assert_eq!(
            request,
            UpdateAccountRequest { display_name: Some("A".into()), ..Default::default() }
        );
    }

    #[test]
    fn the_path_wins_over_the_body() {
        let request: UpdateGroupRequest =
            bind(Body::Whole, &[("group_id", "path")], "", r#"{"group_id":"body","name":"n"}"#)
                .unwrap();
        assert_eq!((request.group_id.as_str(), request.name.as_deref()), ("path", Some("n")));
    }

    #[test]
    fn one_field_comes_from_the_body_and_the_others_from_the_query() {
        let request: AuthenticateCustomRequest = bind(
            SIGN_IN,
            &[],
            "create=false&username=a+b&account.id=ignored&account.id.x=ignored",
            r#" {"id":"me","vars":{"a":"1"}} trailing"#,
        )
        .unwrap();
        let account = request.account.unwrap();
        assert_eq!((account.id.as_str(), account.vars["a"].as_str()), ("me", "1"));
        assert_eq!((request.create, request.username.as_str()), (Some(false), "a b"));
    }

    #[test]
    fn an_empty_body_is_an_empty_message_and_anything_but_an_object_is_refused() {
        for empty in ["", " \r\n\t"] {
            let request: AuthenticateEmailRequest = bind(SIGN_IN, &[], "", empty).unwrap();
            assert_eq!(request.account, Some(AccountEmail::default()));
            assert_eq!(
                bind::<UpdateAccountRequest>(Body::Whole, &[], "", empty).unwrap(),
                Default::default()
            );
        }
        for other in ["null", "[]", "\"text\"", "7", "{", "{\"a\"", "x"] {
            refused(
                bind::<AuthenticateEmailRequest>(SIGN_IN, &[], "", other),
                Code::InvalidArgument,
                "body: ",
            );
            refused(
                bind::<UpdateAccountRequest>(Body::Whole, &[], "", other),
                Code::InvalidArgument,
                "body: ",
            );
        }
    }

    #[test]
    fn errors_of_a_body_name_the_field_and_the_cause() {
        let wrong = |text| bind::<UpdateAccountRequest>(Body::Whole, &[], "", text);
        refused(
            wrong(r#"{"display_name":7}"#),
            Code::InvalidArgument,
            "field \"display_name\": invalid type: integer `7`",
        );
        refused(
            wrong(r#"{"display_name":"\ud800"}"#),
            Code::InvalidArgument,
            "field \"display_name\"",
        );
        refused(
            wrong(r#"{"location":"a","location":"b"}"#),
            Code::InvalidArgument,
            "duplicate field `location`",
        );
        let nested = bind::<AuthenticateCustomRequest>(SIGN_IN, &[], "", r#"{"vars":{"a":1}}"#);
        refused(
            nested,
            Code::InvalidArgument,
            "field \"account\": field \"vars\": field \"a\": invalid type",
        );
    }

    #[test]
    fn queries_fill_wrappers_lists_and_both_spellings() {
        query(
            "limit=10&cursor=c",
            ListFriendsRequest { limit: Some(10), cursor: "c".into(), state: None },
        );
        query("limit=0", ListFriendsRequest { limit: Some(0), ..Default::default() });
        query("limit.value=-5", ListFriendsRequest { limit: Some(-5), ..Default::default() });
        query(
            "ids=b&usernames=u&ids=a",
            GetUsersRequest {
                ids: vec!["b".into(), "a".into()],
                usernames: vec!["u".into()],
                ..Default::default()
            },
        );
        query(
            "langTag=de&open=T",
            ListGroupsRequest { lang_tag: "de".into(), open: Some(true), ..Default::default() },
        );
        query(
            "category_start=4294967295",
            ListTournamentsRequest { category_start: Some(u32::MAX), ..Default::default() },
        );
        query(
            "expiry=-1&ownerIds=x",
            ListLeaderboardRecordsRequest {
                expiry: Some(-1),
                owner_ids: vec!["x".into()],
                ..Default::default()
            },
        );
        query("label=", ListMatchesRequest { label: Some(String::new()), ..Default::default() });
    }

    #[test]
    fn queries_fill_times_enums_maps_and_messages_within() {
        let timestamp = Some(Timestamp { seconds: 1, nanos: 500_000_000 });
        query(
            "timestamp=1970-01-01T00:00:01.5Z&external=1",
            Event { timestamp, external: true, ..Default::default() },
        );
        query(
            "timestamp.seconds=1&timestamp.nanos=500000000",
            Event { timestamp, ..Default::default() },
        );
        query(
            "properties[a.b]=c",
            Event { properties: [("a.b".into(), "c".into())].into(), ..Default::default() },
        );
        query("operator=BEST", Leaderboard { operator: 1, ..Default::default() });
        query(
            "operator=2&sort_order=7",
            Leaderboard { operator: 2, sort_order: 7, ..Default::default() },
        );
        let record = write_leaderboard_record_request::LeaderboardRecordWrite {
            score: 3,
            subscore: -1,
            ..Default::default()
        };
        query(
            "record.score=3&record.subscore=-1",
            WriteLeaderboardRecordRequest { record: Some(record), ..Default::default() },
        );
    }

    #[test]
    fn what_a_query_names_but_the_message_lacks_is_ignored() {
        query("nothing=1&user.name=2&limit.x=3&=4&%ff=5", ListFriendsRequest::default());
        assert_eq!(bind::<Empty>(Body::None, &[], "x=%zz", "").unwrap(), Empty {});
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        query_refused::<ListFriendsRequest>(
            "limit=many",
            "parsing field \"limit\": \"many\" is not a 32-bit integer",
        );
        query_refused::<ListFriendsRequest>("limit=", "\"\" is not a 32-bit integer");
        query_refused::<ListFriendsRequest>("limit=2147483648", "field \"limit\"");
        query_refused::<ListFriendsRequest>(
            "limit=1&limit=2",
            "too many values for field \"limit\": 1, 2",
        );
        query_refused::<ListFriendsRequest>("limit[a]=2", "too many values for field \"limit\"");
        query_refused::<ListTournamentsRequest>("start_time=-1", "an unsigned 32-bit integer");
        query_refused::<ListTournamentsRequest>("start_time=%2B1", "an unsigned 32-bit integer");
        query_refused::<ListGroupsRequest>(
            "open=maybe",
            "parsing field \"open\": \"maybe\" is not true or false",
        );
        query_refused::<ListGroupsRequest>("name.x=1", "invalid path: \"name\" is not a message");
        query_refused::<GetUsersRequest>("ids.x=1", "invalid path: \"ids\" is not a message");
        query_refused::<Leaderboard>("operator=9", "not a value of the enum");
        query_refused::<Event>("timestamp=now", "an RFC 3339 time");
        query_refused::<Event>("properties=a", "map \"nakama.api.Event.properties\"");
        query_refused::<Account>("user=x", "\"x\" is not possible for a message");
        query_refused::<ListFriendsRequest>("cursor=%zz", "invalid URL escape \"%zz\"");
    }

    #[test]
    fn text_that_is_not_utf_8_fails_as_in_the_reference() {
        let result = bind::<GetUsersRequest>(Body::None, &[], "usernames=%ff", "");
        refused(result, Code::Internal, "invalid UTF-8");
    }

    #[test]
    fn fields_of_the_path_cannot_come_from_the_query() {
        let params = [("user_id", "me")];
        let request: ListUserGroupsRequest =
            bind(Body::None, &params, "user_id=you&userId=you&state=3", "").unwrap();
        assert_eq!((request.user_id.as_str(), request.state), ("me", Some(3)));
    }

    #[test]
    fn a_path_names_only_fields_that_exist() {
        assert_eq!(
            Binding::new::<DeleteGroupRequest>(Body::None, &["group"]).unwrap_err(),
            "group"
        );
    }
}
