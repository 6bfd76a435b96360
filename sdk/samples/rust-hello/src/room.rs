//! A match: who knows the password may join; what players send comes back to all.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use guildhall_sdk::{
    Answer, Broadcast, Dispatcher, Error, Match, MatchData, MatchInit, Nk, Presence, Turn, code,
};
use serde_json::{Value, json};

/// The players send it to be removed.
const LEAVE: i64 = 3;
/// What the players send comes back when the tick has ended.
const LATER: i64 = 2;
/// The players send it to change the label.
const RENAME: i64 = 4;
/// The players send it to break the match.
const BREAK: i64 = 5;
/// The players send it to keep the match busy for so many milliseconds.
const BLOCK: i64 = 6;

/// Rooms in memory.
pub(crate) static ROOMS: AtomicUsize = AtomicUsize::new(0);

/// The state of a match.
pub(crate) struct Room {
    members: usize,
    room: Value,
}

/// Makes a room: `nk.match_create("rust_match", {"room": "a"})`.
pub(crate) fn create(_: &Nk<'_>, params: Value) -> Result<(Room, MatchInit), Error> {
    if !params["room"].is_string() {
        return Err(Error::new(code::INVALID_ARGUMENT, "a room needs a name"));
    }
    let tick_rate_hz = params["tick_rate_hz"].as_u64().unwrap_or(20);
    let tick_rate_hz = u32::try_from(tick_rate_hz)?;
    ROOMS.fetch_add(1, Ordering::Relaxed);
    let room = Room { members: 0, room: params["room"].clone() };
    let label = room.label();
    Ok((room, MatchInit { tick_rate_hz, label }))
}

impl Drop for Room {
    fn drop(&mut self) {
        ROOMS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Room {
    fn label(&self) -> String {
        json!({ "language": "native", "room": self.room }).to_string()
    }
}

impl Match for Room {
    fn match_join_attempt(
        &mut self,
        _: &Nk<'_>,
        _: &Dispatcher<'_>,
        _: i64,
        _: &Presence,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Answer, Error> {
        if metadata.get("password").is_some_and(|password| password == "sesame") {
            return Ok(Answer::Allow);
        }
        Ok(Answer::Reject("wrong password".to_owned()))
    }

    fn match_join(
        &mut self,
        _: &Nk<'_>,
        _: &Dispatcher<'_>,
        _: i64,
        joined: Vec<Presence>,
    ) -> Result<Turn, Error> {
        self.members += joined.len();
        Ok(Turn::Continue)
    }

    fn match_leave(
        &mut self,
        _: &Nk<'_>,
        _: &Dispatcher<'_>,
        _: i64,
        left: Vec<Presence>,
    ) -> Result<Turn, Error> {
        self.members = self.members.saturating_sub(left.len());
        Ok(if self.members == 0 { Turn::End } else { Turn::Continue })
    }

    fn match_loop(
        &mut self,
        _: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        _: i64,
        messages: Vec<MatchData>,
    ) -> Result<Turn, Error> {
        for MatchData { sender, op_code, data, .. } in messages {
            let echo = Broadcast { data: &data, sender: Some(&sender), ..Broadcast::default() };
            match op_code {
                LEAVE => dispatcher.match_kick(&[sender])?,
                LATER => {
                    dispatcher.broadcast_message_deferred(&Broadcast { op_code: 102, ..echo })?;
                }
                RENAME => {
                    self.room = String::from_utf8(data)?.into();
                    dispatcher.match_label_update(&self.label())?;
                }
                BLOCK => {
                    let ms = str::from_utf8(&data)?.parse()?;
                    thread::sleep(Duration::from_millis(ms));
                }
                BREAK => panic!("{} broke it", sender.username),
                _ => dispatcher.broadcast_message(&Broadcast { op_code: 101, ..echo })?,
            }
        }
        Ok(Turn::Continue)
    }

    fn match_terminate(
        &mut self,
        _: &Nk<'_>,
        _: &Dispatcher<'_>,
        _: i64,
        _: u64,
    ) -> Result<Turn, Error> {
        Ok(Turn::Continue)
    }

    fn match_signal(
        &mut self,
        _: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        _: i64,
        data: &str,
    ) -> Result<Option<String>, Error> {
        let said = Broadcast { op_code: 109, data: data.as_bytes(), ..Broadcast::default() };
        dispatcher.broadcast_message(&said)?;
        Ok(Some(format!("heard {data} with {}", self.members)))
    }
}
