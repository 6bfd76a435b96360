//! What becomes of a group: the modules are asked for a match, and each member is told.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt as _, stream};
use guildhall_core::{Code, Error, Result, Status};
use guildhall_proto::realtime::{
    Envelope, MatchmakerMatched, UserPresence,
    envelope::Message,
    matchmaker_matched::{Id, MatchmakerUser},
};
use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Group, Ticket};
use crate::{
    cx::Cx,
    host::Language,
    registry::Target,
    runtime::call::{Argument, ExecutionMode},
};

/// A member of a ticket, as module functions see it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    /// For native modules, which name tickets by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<Uuid>,
    presence: EntryPresence,
    properties: BTreeMap<String, Property>,
    #[serde(skip_serializing_if = "Option::is_none")]
    party_id: Option<String>,
    /// In Unix nanoseconds, for native modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
struct EntryPresence {
    user_id: Uuid,
    session_id: Uuid,
    username: String,
    node: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Property {
    Text(String),
    Number(f64),
}

impl Entry {
    /// The members of a ticket, for a module in this language.
    ///
    /// Source: Nakama, `MatchmakerMatched` of each runtime.
    pub(super) fn of(ticket: &Ticket, node: &str, language: Language) -> Vec<Self> {
        let native = language == Language::Native;
        let texts = ticket.string_properties.iter();
        let texts = texts.map(|(name, text)| (name.clone(), Property::Text(text.clone())));
        let numbers = ticket.numeric_properties.iter();
        let numbers = numbers.map(|(name, number)| (name.clone(), Property::Number(*number)));
        // A number wins over a text of the same name.
        let properties: BTreeMap<String, Property> = texts.chain(numbers).collect();
        let party_id = ticket.owner.party_id();
        let entry = |presence: &super::Presence| Self {
            ticket: native.then_some(ticket.id),
            presence: EntryPresence {
                user_id: presence.user_id,
                session_id: presence.session_id,
                username: presence.username.to_string(),
                node: node.to_owned(),
            },
            properties: properties.clone(),
            party_id: (!party_id.is_empty()).then(|| party_id.to_owned()),
            create_time: native.then_some(ticket.created_at_ns),
        };
        ticket.presences.iter().map(entry).collect()
    }
}

const NO_GROUPS: Status = Status::new(
    Code::Internal,
    "A matchmaker function must give back a list of groups, each a list of entries.",
);

/// The groups that a module chose, by the ids of their tickets; an entry may also be the id alone.
/// A ticket counts once, whichever of its members were named: parties stay together.
///
/// # Errors
/// Where it is not a list of lists of entries.
pub(super) fn chosen(answer: Option<&Json>) -> Result<Vec<Vec<Uuid>>> {
    let Some(answer) = answer else { return Ok(Vec::new()) };
    let list = |value: &'_ Json| value.as_array().cloned().ok_or_else(|| Error::from(NO_GROUPS));
    let mut groups = Vec::new();
    for group in list(answer)? {
        let mut tickets = Vec::new();
        for entry in list(&group)? {
            let id = entry.as_str().or_else(|| entry.get("ticket")?.as_str());
            let id = id.and_then(|id| Uuid::try_parse(id).ok()).ok_or(NO_GROUPS)?;
            if !tickets.contains(&id) {
                tickets.push(id);
            }
        }
        groups.push(tickets);
    }
    Ok(groups)
}

/// So many groups are shown to the modules at a time; the others wait, so that they do not fill the
/// queue of calls.
const AT_A_TIME: usize = 16;

/// Asks the modules for the match of each group, and tells its members.
pub(super) async fn tell_by(cx: &Cx, target: &Target, groups: Vec<Group>) {
    let each = |group: Group| async move {
        let match_id = match_of(cx, target, &group).await.unwrap_or_else(|error| {
            tracing::error!(%error, "matchmaker matched function failed");
            None
        });
        tell(cx, &group, match_id);
    };
    stream::iter(groups).for_each_concurrent(AT_A_TIME, each).await;
}

const NO_MATCH_ID: Status = Status::new(
    Code::Internal,
    "The matchmaker matched function must give back a match id, or nothing.",
);

/// The id of the match that the modules have for a group, if any.
async fn match_of(cx: &Cx, target: &Target, group: &Group) -> Result<Option<String>> {
    let entry = |ticket: &Arc<Ticket>| Entry::of(ticket, &cx.config.name, target.language);
    let entries: Vec<Entry> = group.tickets.iter().flat_map(entry).collect();
    match target.invoke(ExecutionMode::Matchmaker, vec![Argument::of(entries)]).await? {
        None => Ok(None),
        // Native functions say so that there is none.
        Some(Json::String(id)) if id.is_empty() && target.language == Language::Native => Ok(None),
        Some(Json::String(id)) => {
            let uuid = id.split_once('.').map(|(uuid, _)| uuid);
            match uuid.is_some_and(|uuid| Uuid::try_parse(uuid).is_ok()) {
                true => Ok(Some(id)),
                false => Err(NO_MATCH_ID.into()),
            }
        }
        Some(_) => Err(NO_MATCH_ID.into()),
    }
}

/// Tells each member of a group who the others are, and by what they meet: the id of the match, or
/// else a token that lets into one of their own.
///
/// Source: Nakama, `LocalMatchmaker.Process`.
pub(super) fn tell(cx: &Cx, group: &Group, match_id: Option<String>) {
    let id = match match_id {
        Some(id) => Id::MatchId(id),
        None => Id::Token(cx.matches.token(&format!("{}.", Uuid::new_v4()))),
    };
    let users: Vec<MatchmakerUser> = group.tickets.iter().flat_map(|it| users(it)).collect();
    let mut envelope = Envelope {
        cid: String::new(),
        message: Some(Message::MatchmakerMatched(MatchmakerMatched {
            users: users.clone(),
            id: Some(id),
            ..MatchmakerMatched::default()
        })),
    };
    let members = group.tickets.iter().flat_map(|ticket| {
        ticket.presences.iter().map(|presence| (ticket.id, presence.session_id))
    });
    for ((ticket, session_id), user) in members.zip(users) {
        let Some(session) = cx.sockets.get(session_id) else { continue };
        if let Some(Message::MatchmakerMatched(matched)) = &mut envelope.message {
            matched.ticket = ticket.to_string();
            matched.self_ = Some(user);
        }
        session.send(&envelope);
    }
}

fn users(ticket: &Ticket) -> impl Iterator<Item = MatchmakerUser> {
    ticket.presences.iter().map(|presence| MatchmakerUser {
        presence: Some(UserPresence {
            user_id: presence.user_id.to_string(),
            session_id: presence.session_id.to_string(),
            username: presence.username.to_string(),
            ..UserPresence::default()
        }),
        party_id: ticket.owner.party_id().to_owned(),
        string_properties: ticket.string_properties.clone(),
        numeric_properties: ticket.numeric_properties.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_module_chose_is_a_list_of_lists_of_entries() {
        let [a, b] = [1, 2].map(Uuid::from_u128);
        let entry = |id: Uuid| json!({ "ticket": id, "presence": {} });
        let groups = |answer: Json| chosen(Some(&answer)).ok();
        assert_eq!(chosen(None).ok(), Some(vec![]));
        assert_eq!(groups(json!([])), Some(vec![]));
        // Two members of one ticket, and an id alone.
        let answer = json!([[entry(a), entry(a), entry(b)], [b.to_string()], []]);
        assert_eq!(groups(answer), Some(vec![vec![a, b], vec![b], vec![]]));
        for garbage in [
            json!("x"),
            json!(5),
            json!({}),
            json!([5]),
            json!([[5]]),
            json!([[{}]]),
            json!([["x"]]),
        ] {
            assert_eq!(groups(garbage.clone()), None, "{garbage}");
        }
    }
}
