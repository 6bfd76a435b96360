//! What modules name to host functions: users, sessions, streams and presences.
//!
//! Refusals are in the words of the reference.

use guildhall_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use uuid::Uuid;

use super::stream::Stream;

/// The id of a user.
pub(super) fn user_id<'de, D: Deserializer<'de>>(input: D) -> Result<Uuid, D::Error> {
    id(input, "expects valid user id")
}

/// The id of a session.
pub(super) fn session_id<'de, D: Deserializer<'de>>(input: D) -> Result<Uuid, D::Error> {
    id(input, "expects valid session id")
}

/// The ids of users.
pub(super) fn user_ids<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Uuid>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    let ids = texts.iter().map(|text| Uuid::try_parse(text)).collect::<Result<_, _>>();
    ids.map_err(|_| D::Error::custom("expects each user id to be a valid id"))
}

fn id<'de, D: Deserializer<'de>>(input: D, refusal: &'static str) -> Result<Uuid, D::Error> {
    Uuid::try_parse(&String::deserialize(input)?).map_err(|_| D::Error::custom(refusal))
}

/// A stream, as a module names it; what is left out is 0, nil or empty.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "Stream")]
pub(super) struct StreamArgument {
    /// Its kind; cut to its lowest 8 bits, as in the reference. The server's own are 0 to 7.
    #[serde(default, deserialize_with = "mode")]
    mode: u8,
    /// What it is about, an id.
    #[serde(default, deserialize_with = "subject")]
    #[schemars(with = "Option<String>")]
    subject: Uuid,
    /// What it is about besides, an id.
    #[serde(default, deserialize_with = "subcontext")]
    #[schemars(with = "Option<String>")]
    subcontext: Uuid,
    /// Any text.
    #[serde(default, deserialize_with = "label")]
    label: String,
}

impl From<StreamArgument> for Stream {
    fn from(given: StreamArgument) -> Self {
        let StreamArgument { mode, subject, subcontext, label } = given;
        Self { mode, subject, subcontext, label: label.into() }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as in the reference")]
fn mode<'de, D: Deserializer<'de>>(input: D) -> Result<u8, D::Error> {
    let number = match Value::deserialize(input)? {
        Value::Number(number) => number,
        _ => return Err(D::Error::custom("stream mode must be a number")),
    };
    let whole = number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or_default() as i64);
    Ok(whole as u8)
}

fn subject<'de, D: Deserializer<'de>>(input: D) -> Result<Uuid, D::Error> {
    part_id(input, "stream subject must be a string", "stream subject must be a valid identifier")
}

fn subcontext<'de, D: Deserializer<'de>>(input: D) -> Result<Uuid, D::Error> {
    part_id(
        input,
        "stream subcontext must be a string",
        "stream subcontext must be a valid identifier",
    )
}

fn part_id<'de, D: Deserializer<'de>>(
    input: D,
    no_text: &'static str,
    no_id: &'static str,
) -> Result<Uuid, D::Error> {
    let text = String::deserialize(input).map_err(|_| D::Error::custom(no_text))?;
    Uuid::try_parse(&text).map_err(|_| D::Error::custom(no_id))
}

fn label<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    String::deserialize(input).map_err(|_| D::Error::custom("stream label must be a string"))
}

/// A presence among those that are to get a message; what else it has is not read.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "PresenceOfSession")]
pub(super) struct RecipientArgument {
    /// Its session; without one nobody gets anything.
    #[serde(default, deserialize_with = "recipient_id")]
    #[schemars(with = "Option<String>")]
    pub session_id: Uuid,
}

fn recipient_id<'de, D: Deserializer<'de>>(input: D) -> Result<Uuid, D::Error> {
    part_id(
        input,
        "presence session id must be a string",
        "presence session id must be a valid identifier",
    )
}

/// A presence that is to end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "PresenceFields")]
#[schemars(rename = "PresenceToKick")]
pub(super) struct PresenceArgument {
    pub user_id: Uuid,
    pub session_id: Uuid,
}

#[derive(Deserialize, JsonSchema)]
struct PresenceFields {
    user_id: Option<String>,
    session_id: Option<String>,
    /// The node; this one if not given.
    node: Option<String>,
}

impl TryFrom<PresenceFields> for PresenceArgument {
    type Error = &'static str;

    fn try_from(given: PresenceFields) -> Result<Self, Self::Error> {
        const INCOMPLETE: &str =
            "expects each presence to have a valid user_id, session_id, and node";
        let id = |text: Option<String>, refusal| match text {
            None => Ok(Uuid::nil()),
            Some(text) => Uuid::try_parse(&text).map_err(|_| refusal),
        };
        let user_id = id(given.user_id, "expects each presence to have a valid user_id")?;
        let session_id = id(given.session_id, "expects each presence to have a valid session_id")?;
        if user_id.is_nil() || session_id.is_nil() || given.node.is_some_and(|node| node.is_empty())
        {
            return Err(INCOMPLETE);
        }
        Ok(Self { user_id, session_id })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_stream_is_read_field_by_field_and_its_mode_cut() {
        let id = "2f2d3c4b-1111-4222-8333-0123456789ab";
        let read = |value| from_value::<StreamArgument>(value).map(Stream::from).unwrap();
        let whole = read(json!({ "mode": 100, "subject": id, "subcontext": id, "label": "l" }));
        let wanted = Uuid::try_parse(id).unwrap();
        assert_eq!((whole.mode, whole.subject, whole.subcontext), (100, wanted, wanted));
        assert_eq!(&*whole.label, "l");
        assert_eq!(read(json!({})), Stream::of(0, Uuid::nil()));
        for (mode, cut) in [(json!(300), 44), (json!(-1), 255), (json!(7.9), 7)] {
            assert_eq!(read(json!({ "mode": mode })).mode, cut);
        }
    }

    #[test]
    fn what_is_wrong_with_a_stream_or_a_presence_is_said() {
        fn said<T: for<'de> Deserialize<'de>>(value: Value) -> String {
            from_value::<T>(value).err().unwrap().to_string()
        }
        for (value, words) in [
            (json!({ "mode": "a" }), "stream mode must be a number"),
            (json!({ "subject": 1 }), "stream subject must be a string"),
            (json!({ "subject": "" }), "stream subject must be a valid identifier"),
            (json!({ "subcontext": [] }), "stream subcontext must be a string"),
            (json!({ "subcontext": "x" }), "stream subcontext must be a valid identifier"),
            (json!({ "label": 5 }), "stream label must be a string"),
        ] {
            assert_eq!(said::<StreamArgument>(value), words);
        }
        let id = "2f2d3c4b-1111-4222-8333-0123456789ab";
        for (value, words) in [
            (json!({}), "user_id, session_id, and node"),
            (json!({ "user_id": id, "session_id": id, "node": "" }), "user_id, session_id, and"),
            (json!({ "user_id": "x" }), "to have a valid user_id"),
            (json!({ "user_id": id, "session_id": "x" }), "to have a valid session_id"),
        ] {
            assert!(said::<PresenceArgument>(value).contains(words));
        }
        assert_eq!(
            said::<RecipientArgument>(json!({ "session_id": 1 })),
            "presence session id must be a string"
        );
    }
}
