//! The JSON form of a socket's messages, one [`Envelope`] at a time.

use crate::json::Strict;
use crate::realtime::Envelope;

impl Envelope {
    /// Reads the JSON form, with nothing but space around it.
    ///
    /// It is strict all the way down, unlike REST: an unknown field is an error, as are a wrong type,
    /// a field given twice, a second message and text after the envelope. Either spelling of a
    /// name is read, 64-bit integers as numbers or text, enums by number or name, base64 in either
    /// alphabet, and `null` as not given. An envelope may come without a message.
    ///
    /// Source: Nakama, `jsonpbUnmarshaler` (`DiscardUnknown` is off).
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text).map(|Strict(envelope)| envelope)
    }

    /// Writes the JSON form: proto names, enums as numbers, 64-bit integers as text, times in RFC
    /// 3339, data in base64; defaults are left out, but not those of a oneof or a wrapper that is
    /// set.
    ///
    /// A time outside the years 1 to 9999 is an error.
    ///
    /// Source: Nakama, `jsonpbMarshaler` (`UseProtoNames` and `UseEnumNumbers` are on,
    /// `EmitUnpopulated` is off).
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use prost::Message as _;

    use crate::Timestamp;
    use crate::api::{ChannelMessage, Notification, Rpc};
    use crate::realtime::envelope::Message;
    use crate::realtime::*;

    fn with(message: Message) -> Envelope {
        Envelope { cid: "7".into(), message: Some(message) }
    }

    fn presence() -> UserPresence {
        UserPresence { user_id: "u".into(), status: Some(String::new()), ..Default::default() }
    }

    /// The envelope has this JSON form, and is itself again after either form.
    #[track_caller]
    fn check(message: Message, text: &str) {
        let envelope = with(message);
        let text = format!(r#"{{"cid":"7",{text}}}"#);
        assert_eq!(String::from_utf8(envelope.to_json().unwrap()).unwrap(), text);
        assert_eq!(Envelope::from_json(text.as_bytes()).unwrap(), envelope);
        let binary = Bytes::from(envelope.encode_to_vec());
        assert_eq!(Envelope::decode(binary).unwrap(), envelope);
    }

    #[track_caller]
    fn read(text: &str, message: Message) {
        assert_eq!(
            Envelope::from_json(text.as_bytes()).unwrap(),
            Envelope { cid: String::new(), message: Some(message) }
        );
    }

    #[track_caller]
    fn refused(text: &str, cause: &str) {
        let error = Envelope::from_json(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
    }

    #[test]
    fn the_message_stands_under_its_own_name() {
        check(Message::Ping(Ping {}), r#""ping":{}"#);
        check(
            Message::MatchPresenceEvent(MatchPresenceEvent {
                match_id: "m".into(),
                joins: vec![presence()],
                leaves: vec![],
            }),
            r#""match_presence_event":{"match_id":"m","joins":[{"user_id":"u","status":""}]}"#,
        );
        check(
            Message::Rpc(Rpc { id: "f".into(), payload: "{\"a\":1}".into(), ..Default::default() }),
            r#""rpc":{"id":"f","payload":"{\"a\":1}"}"#,
        );
        assert_eq!(Envelope::default().to_json().unwrap(), b"{}");
    }

    #[test]
    fn wrappers_are_plain_and_written_when_they_are_set() {
        let time = Some(Timestamp::from_seconds(1_577_934_245));
        check(
            Message::ChannelMessageAck(ChannelMessageAck {
                code: Some(0),
                persistent: Some(false),
                create_time: time,
                ..Default::default()
            }),
            r#""channel_message_ack":{"code":0,"create_time":"2020-01-02T03:04:05Z","persistent":false}"#,
        );
        check(
            Message::ChannelMessage(ChannelMessage { code: Some(6), ..Default::default() }),
            r#""channel_message":{"code":6}"#,
        );
        check(
            Message::Notifications(Notifications {
                notifications: vec![Notification { code: -1, ..Default::default() }],
            }),
            r#""notifications":{"notifications":[{"code":-1}]}"#,
        );
        check(Message::StatusUpdate(StatusUpdate { status: None }), r#""status_update":{}"#);
        // Error code 0 is the default of its field.
        check(
            Message::Error(Error { message: "no".into(), ..Default::default() }),
            r#""error":{"message":"no"}"#,
        );
    }

    #[test]
    fn a_member_of_a_oneof_is_written_also_when_it_is_empty() {
        check(
            Message::MatchJoin(MatchJoin {
                id: Some(match_join::Id::MatchId(String::new())),
                ..Default::default()
            }),
            r#""match_join":{"match_id":""}"#,
        );
        check(
            Message::MatchmakerMatched(MatchmakerMatched {
                ticket: "t".into(),
                id: Some(matchmaker_matched::Id::Token("k".into())),
                self_: Some(matchmaker_matched::MatchmakerUser {
                    numeric_properties: [
                        ("a".into(), 5.0),
                        ("b".into(), -0.5),
                        ("c".into(), f64::INFINITY),
                        ("d".into(), 1e300),
                    ]
                    .into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            r#""matchmaker_matched":{"ticket":"t","token":"k","self":{"numeric_properties":{"a":5,"b":-0.5,"c":"Infinity","d":1e+300}}}"#,
        );
    }

    #[test]
    fn data_is_base64_and_operation_codes_are_text() {
        check(
            Message::MatchData(MatchData {
                op_code: i64::MAX,
                data: Bytes::from_static(&[0xfb, 0xff, 0xfe, 0x41]),
                ..Default::default()
            }),
            r#""match_data":{"op_code":"9223372036854775807","data":"+//+QQ=="}"#,
        );
        let sent = |data: &'static [u8]| {
            Message::MatchDataSend(MatchDataSend {
                data: Bytes::from_static(data),
                ..Default::default()
            })
        };
        // Either alphabet, padding to four or none, bits left over, line breaks.
        for data in ["+//+QQ==", "-__-QQ==", "+//+QQ", "-__-QQ", "-__-QR", "+//+\\nQQ=\\n=\\r\\n"] {
            read(
                &format!(r#"{{"match_data_send":{{"data":"{data}"}}}}"#),
                sent(&[0xfb, 0xff, 0xfe, 0x41]),
            );
        }
        read(r#"{"match_data_send":{"data":""}}"#, sent(b""));
        for data in ["QQ=", "Q", "+_", "a b", "====", "é"] {
            refused(&format!(r#"{{"match_data_send":{{"data":"{data}"}}}}"#), "expected base64");
        }
        refused(r#"{"match_data_send":{"data":[1]}}"#, "expected base64");
    }

    #[test]
    fn binary_data_is_shared_with_its_input() {
        let envelope = with(Message::PartyData(PartyData {
            data: Bytes::from_static(b"shared"),
            ..Default::default()
        }));
        let binary = Bytes::from(envelope.encode_to_vec());
        let decoded = Envelope::decode(binary.clone()).unwrap();
        let Some(Message::PartyData(party)) = decoded.message else {
            unreachable!("{decoded:?}");
        };
        assert!(binary.as_ptr_range().contains(&party.data.as_ptr()));
    }

    #[test]
    fn either_spelling_text_numbers_and_nulls_are_read() {
        read(
            r#" {"channelJoin":{"target":"r","type":"1","persistence":true,"hidden":null}} "#,
            Message::ChannelJoin(ChannelJoin {
                target: "r".into(),
                r#type: 1,
                persistence: Some(true),
                hidden: None,
            }),
        );
        read(r#"{"ping":{},"pong":null,"cid":null}"#, Message::Ping(Ping {}));
        read(
            r#"{"match_join":{"matchId":null,"token":"k"}}"#,
            Message::MatchJoin(MatchJoin {
                id: Some(match_join::Id::Token("k".into())),
                ..Default::default()
            }),
        );
        read(
            r#"{"matchmaker_add":{"numericProperties":{"a":1,"b":"2.5","c":-1e2,"d":"-Infinity"}}}"#,
            Message::MatchmakerAdd(MatchmakerAdd {
                numeric_properties: [
                    ("a".into(), 1.0),
                    ("b".into(), 2.5),
                    ("c".into(), -100.0),
                    ("d".into(), f64::NEG_INFINITY),
                ]
                .into(),
                ..Default::default()
            }),
        );
        read(
            r#"{"match_data_send":{"op_code":5}}"#,
            Message::MatchDataSend(MatchDataSend { op_code: 5, ..Default::default() }),
        );
        for none in ["{}", r#"{"ping":null}"#] {
            assert_eq!(Envelope::from_json(none.as_bytes()).unwrap(), Envelope::default());
        }
    }

    #[test]
    fn unknown_fields_are_refused_at_any_depth() {
        refused(r#"{"nonesuch":{}}"#, "unknown field \"nonesuch\"");
        refused(r#"{"ping":{"a":null}}"#, "field \"ping\": unknown field \"a\"");
        // `nakama.api` as well, where REST ignores them.
        refused(r#"{"rpc":{"id":"f","more":1}}"#, "field \"rpc\": unknown field \"more\"");
        refused(
            r#"{"match_data_send":{"presences":[{"name":"x"}]}}"#,
            "field \"match_data_send\": field \"presences\": unknown field \"name\"",
        );
    }

    #[test]
    fn two_of_one_kind_are_refused() {
        refused(r#"{"ping":{},"pong":{}}"#, "field \"pong\": another member of its oneof");
        refused(r#"{"match_join":{"match_id":"m","token":"k"}}"#, "another member of its oneof");
        refused(r#"{"ping":null,"ping":{}}"#, "duplicate field `ping`");
        refused(r#"{"channel_join":{},"channelJoin":{}}"#, "duplicate field `channel_join`");
        refused(r#"{"match_join":{"metadata":{"a":"1","a":"2"}}}"#, "duplicate map key \"a\"");
    }

    #[test]
    fn wrong_types_are_refused() {
        for text in [
            r#"{"cid":1}"#,
            r#"{"channel_join":{"target":5}}"#,
            r#"{"channel_join":{"type":"room"}}"#,
            r#"{"channel_join":{"hidden":"yes"}}"#,
            r#"{"match_join":{"metadata":{"a":1}}}"#,
            r#"{"match_join":{"metadata":{"a":null}}}"#,
            r#"{"matchmaker_add":{"numeric_properties":{"a":" 1"}}}"#,
            r#"{"matchmaker_add":{"numeric_properties":{"a":"null"}}}"#,
            r#"{"matchmaker_add":{"numeric_properties":{"a":1e999}}}"#,
            r#"{"matchmaker_add":{"numeric_properties":{"a":true}}}"#,
            r#"{"match_data_send":{"presences":[null]}}"#,
            r#"{"ping":[]}"#,
        ] {
            refused(text, "field \"");
        }
    }

    #[test]
    fn only_one_object_is_an_envelope() {
        refused(r#"{"ping":{}} {}"#, "trailing characters");
        refused("", "EOF");
        refused(r#"{"ping":{}"#, "EOF");
        refused("[]", "invalid type: sequence");
        refused("null", "invalid type: null");
        refused("{\"cid\":\"\u{1}\"}", "control character");
        assert!(Envelope::from_json(b"{\"cid\":\"\xff\"}").is_err());
    }
}
