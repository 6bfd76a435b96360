//! The match of `tests/matches/arena.lua`, natively: the handler `arena_native`.

use std::collections::BTreeMap;

use guildhall_sdk::{
    Answer, Broadcast, Dispatcher, Error, Match, MatchData, MatchInit, Module, Nk, Presence, Turn,
};
use serde::Deserialize;

pub(crate) fn register(module: &mut Module<'_>) -> Result<(), Error> {
    module.register_match("arena_native", |_, params: Params| {
        let Params { password, label } = params;
        Ok((Arena { password, told: false }, MatchInit { tick_rate_hz: 20, label }))
    })
}

#[derive(Deserialize)]
struct Params {
    password: String,
    label: String,
}

struct Arena {
    password: String,
    told: bool,
}

/// Tells all members, at once.
fn tell(dispatcher: &Dispatcher<'_>, op_code: i64, text: &str) -> Result<(), Error> {
    let data = text.as_bytes();
    dispatcher.broadcast_message(&Broadcast { op_code, data, ..Broadcast::default() })
}

impl Match for Arena {
    fn match_join_attempt(
        &mut self,
        _: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        _: i64,
        presence: &Presence,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Answer, Error> {
        if metadata.get("password") == Some(&self.password) {
            return Ok(Answer::Allow);
        }
        tell(dispatcher, 1, &format!("refused {}", presence.username))?;
        Ok(Answer::Reject("wrong password".to_owned()))
    }

    fn match_join(
        &mut self,
        _: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        _: i64,
        joined: Vec<Presence>,
    ) -> Result<Turn, Error> {
        for Presence { username, reason, .. } in joined {
            tell(dispatcher, 2, &format!("joined {username} {reason}"))?;
        }
        Ok(Turn::Continue)
    }

    fn match_leave(
        &mut self,
        _: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        _: i64,
        left: Vec<Presence>,
    ) -> Result<Turn, Error> {
        for Presence { username, reason, .. } in left {
            tell(dispatcher, 3, &format!("left {username} {reason}"))?;
        }
        Ok(Turn::Continue)
    }

    fn match_loop(
        &mut self,
        _: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        _: i64,
        messages: Vec<MatchData>,
    ) -> Result<Turn, Error> {
        if self.told {
            return Ok(Turn::End);
        }
        for MatchData { sender, op_code, data, .. } in messages {
            let sender = std::slice::from_ref(&sender);
            match op_code {
                4 => {
                    let data = b"deferred";
                    let deferred = Broadcast { op_code, data, ..Broadcast::default() };
                    dispatcher.broadcast_message_deferred(&deferred)?;
                    tell(dispatcher, 4, "at once")?;
                }
                5 => dispatcher.broadcast_message(&Broadcast {
                    op_code,
                    data: &data,
                    recipients: Some(sender),
                    sender: sender.first(),
                    unreliable: false,
                })?,
                6 => dispatcher.match_kick(sender)?,
                _ => {}
            }
        }
        Ok(Turn::Continue)
    }

    fn match_terminate(
        &mut self,
        _: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        _: i64,
        grace_s: u64,
    ) -> Result<Turn, Error> {
        tell(dispatcher, 7, &format!("ends in {grace_s}"))?;
        self.told = true;
        Ok(Turn::Continue)
    }

    fn match_signal(
        &mut self,
        _: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        _: i64,
        data: &str,
    ) -> Result<Option<String>, Error> {
        dispatcher.match_label_update(data)?;
        Ok(Some(format!("label {data}")))
    }
}
