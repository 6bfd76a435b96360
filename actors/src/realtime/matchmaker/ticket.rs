//! Tickets: who waits, for whom, and for how many.

use std::{collections::BTreeMap, fmt, sync::Arc};

use uuid::Uuid;

use crate::{
    envelope::Refusal,
    query::{Fields, Query},
    realtime::session::ErrorCode,
};

/// Somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The user.
    pub user_id: Uuid,
    /// The socket, of which the user may have several.
    pub session_id: Uuid,
    /// The user's name.
    pub username: Arc<str>,
}

/// Who made a ticket and may remove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A session, for itself.
    Session(Uuid),
    /// A party, by its id, for its members.
    Party(String),
}

impl Owner {
    /// The id of the party, empty without one.
    pub fn party_id(&self) -> &str {
        match self {
            Self::Session(_) => "",
            Self::Party(id) => id,
        }
    }
}

/// How many are wanted in a match, with oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    min: u32,
    max: u32,
    multiple: u32,
}

const INVALID_MIN: Refusal =
    Refusal::new(ErrorCode::BadInput, "Invalid minimum count, must be >= 2");
const INVALID_MAX: Refusal =
    Refusal::new(ErrorCode::BadInput, "Invalid maximum count, must be >= minimum count");
const INVALID_MULTIPLE: Refusal =
    Refusal::new(ErrorCode::BadInput, "Invalid count multiple, must be >= 1");
const MIN_NOT_DIVIDED: Refusal =
    Refusal::new(ErrorCode::BadInput, "Invalid count multiple for minimum count, must divide");
const MAX_NOT_DIVIDED: Refusal =
    Refusal::new(ErrorCode::BadInput, "Invalid count multiple for maximum count, must divide");

impl Counts {
    /// From `min` to `max`, both at least 2, in steps of `multiple`.
    ///
    /// # Errors
    /// Where they are not such numbers, as clients see it.
    ///
    /// Source: Nakama, `matchmakerAdd`.
    pub fn new(min: i32, max: i32, multiple: Option<i32>) -> Result<Self, Refusal> {
        let min = u32::try_from(min).ok().filter(|min| *min >= 2).ok_or(INVALID_MIN)?;
        let max = u32::try_from(max).ok().filter(|max| *max >= min).ok_or(INVALID_MAX)?;
        let multiple = match multiple {
            None => 1,
            Some(n) => u32::try_from(n).ok().filter(|n| *n >= 1).ok_or(INVALID_MULTIPLE)?,
        };
        if !min.is_multiple_of(multiple) {
            return Err(MIN_NOT_DIVIDED);
        }
        if !max.is_multiple_of(multiple) {
            return Err(MAX_NOT_DIVIDED);
        }
        Ok(Self { min, max, multiple })
    }

    /// The fewest.
    pub fn min(self) -> u32 {
        self.min
    }

    /// The most.
    pub fn max(self) -> u32 {
        self.max
    }

    /// What divides their number.
    pub fn multiple(self) -> u32 {
        self.multiple
    }

    /// Whether a match of this many is wanted.
    pub fn allow(self, size: u32) -> bool {
        (self.min..=self.max).contains(&size) && size.is_multiple_of(self.multiple)
    }

    /// The largest size that is wanted and is at most `most`.
    pub fn largest(self, most: u32) -> Option<u32> {
        let most = most.min(self.max);
        Some(most - most % self.multiple).filter(|size| self.allow(*size))
    }

    /// Whether a ticket with these counts, when it looks for others, finds one with `others`: its
    /// range lies within this one.
    ///
    /// Source: Nakama, `processDefault`.
    pub fn cover(self, others: Self) -> bool {
        self.min <= others.min && others.max <= self.max
    }
}

/// What a ticket is made of.
#[derive(Clone, Debug)]
pub struct NewTicket {
    /// Who makes it.
    pub owner: Owner,
    /// Who waits: the session, or the members of the party.
    pub presences: Vec<Presence>,
    /// What is asked of the others' properties.
    pub query: String,
    /// How many are wanted.
    pub counts: Counts,
    /// Texts that others can ask for.
    pub string_properties: BTreeMap<String, String>,
    /// Numbers that others can ask for; they win over texts of the same name.
    pub numeric_properties: BTreeMap<String, f64>,
}

/// Why there is no ticket. The sentences are the reference's, which it shows a party's leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// The query cannot be read.
    Query,
    /// A session stands twice among the presences.
    DuplicateSession,
    /// The party, or one of the sessions, has as many as it may have.
    TooManyTickets,
    /// The matchmaker stops, or one of the sessions has ended.
    Unavailable,
}

impl fmt::Display for NotAdded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query => "matchmaker query invalid",
            Self::DuplicateSession => "matchmaker duplicate session",
            Self::TooManyTickets => "matchmaker too many tickets",
            Self::Unavailable => "matchmaker not available",
        })
    }
}

impl std::error::Error for NotAdded {}

/// A ticket that is to be removed is not there, or is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFound;

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("matchmaker ticket not found")
    }
}

impl std::error::Error for NotFound {}

/// A ticket that waits, or waited until it was matched.
#[derive(Debug)]
pub struct Ticket {
    /// Its id.
    pub id: Uuid,
    /// Who made it.
    pub owner: Owner,
    /// Who waits.
    pub presences: Vec<Presence>,
    /// How many are wanted.
    pub counts: Counts,
    /// What was asked, as it was written.
    pub query_text: String,
    /// Texts that others can ask for.
    pub string_properties: BTreeMap<String, String>,
    /// Numbers that others can ask for.
    pub numeric_properties: BTreeMap<String, f64>,
    /// When it was made, in Unix nanoseconds.
    pub created_at_ns: i64,
    query: Query,
    fields: Fields,
}

/// What properties are asked for under.
pub(super) const PROPERTIES: &str = "properties.";

impl Ticket {
    /// A ticket of this id, made at `created_at_ns`.
    ///
    /// # Errors
    /// Where the query cannot be read, or a session stands twice.
    pub(super) fn new(id: Uuid, created_at_ns: i64, new: NewTicket) -> Result<Self, NotAdded> {
        let query = Query::parse(&new.query).map_err(|_| NotAdded::Query)?;
        for (at, presence) in new.presences.iter().enumerate() {
            let earlier = &new.presences[..at];
            if earlier.iter().any(|earlier| earlier.session_id == presence.session_id) {
                return Err(NotAdded::DuplicateSession);
            }
        }
        let mut fields = Fields::default();
        for (name, number) in &new.numeric_properties {
            fields.number(&format!("{PROPERTIES}{name}"), *number);
        }
        for (name, text) in &new.string_properties {
            if !new.numeric_properties.contains_key(name) {
                fields.text_or_time(&format!("{PROPERTIES}{name}"), text);
            }
        }
        let text = id.to_string();
        fields.text("ticket", text.clone());
        fields.text("_id", text);
        fields.text("party_id", new.owner.party_id());
        fields.number("min_count", f64::from(new.counts.min));
        fields.number("max_count", f64::from(new.counts.max));
        fields.number("created_at", created_at_ns as f64);
        Ok(Self {
            id,
            owner: new.owner,
            presences: new.presences,
            counts: new.counts,
            query_text: new.query,
            string_properties: new.string_properties,
            numeric_properties: new.numeric_properties,
            created_at_ns,
            query,
            fields,
        })
    }

    /// How many wait.
    pub fn size(&self) -> u32 {
        u32::try_from(self.presences.len()).unwrap_or(u32::MAX)
    }

    /// What is asked of others.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// What others can ask for.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Whether its query matches `other`; nothing else is asked.
    pub fn accepts(&self, other: &Self) -> bool {
        self.query.score(&other.fields).is_some()
    }

    /// Whether both are of one party, or have a session in common: such tickets never meet.
    pub fn is_beside(&self, other: &Self) -> bool {
        let party = self.owner.party_id();
        if !party.is_empty() && party == other.owner.party_id() {
            return true;
        }
        let sessions = |presence: &Presence| presence.session_id;
        self.presences
            .iter()
            .map(sessions)
            .any(|session| other.presences.iter().map(sessions).any(|other| other == session))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn counts_are_refused_in_the_words_of_the_reference() {
        let refused = |min, max, multiple| match Counts::new(min, max, multiple) {
            Ok(_) => "",
            Err(Refusal { message: Cow::Borrowed(message), .. }) => message,
            Err(refusal) => panic!("{refusal:?}"),
        };
        assert_eq!(refused(2, 2, None), "");
        assert_eq!(refused(4, 8, Some(2)), "");
        assert_eq!(refused(1, 2, None), INVALID_MIN.message);
        assert_eq!(refused(-2, 2, None), INVALID_MIN.message);
        assert_eq!(refused(3, 2, None), INVALID_MAX.message);
        assert_eq!(refused(2, 2, Some(0)), INVALID_MULTIPLE.message);
        assert_eq!(refused(2, 2, Some(-1)), INVALID_MULTIPLE.message);
        assert_eq!(refused(3, 4, Some(2)), MIN_NOT_DIVIDED.message);
        assert_eq!(refused(2, 5, Some(2)), MAX_NOT_DIVIDED.message);
    }

    #[test]
    fn counts_allow_sizes_and_cover_narrower_counts() {
        let counts = |min, max, multiple| Counts { min, max, multiple };
        assert!(counts(2, 8, 2).allow(4) && !counts(2, 8, 2).allow(5));
        assert!(!counts(2, 8, 2).allow(10) && !counts(4, 8, 2).allow(2));
        assert_eq!(counts(2, 8, 2).largest(100), Some(8));
        assert_eq!(counts(2, 8, 2).largest(7), Some(6));
        assert_eq!(counts(2, 8, 2).largest(1), None);
        assert!(counts(2, 4, 1).cover(counts(3, 4, 1)) && counts(2, 4, 1).cover(counts(2, 2, 2)));
        assert!(!counts(2, 4, 1).cover(counts(2, 5, 1)) && !counts(3, 4, 1).cover(counts(2, 4, 1)));
    }
}
