//! Why a ticket is not matched.

use std::{fmt, sync::Arc};

use serde::Serialize;
use uuid::Uuid;

use super::{index::Index, pool::Rules, ticket::Ticket};
use crate::query::{Query, Sign};

/// What keeps a ticket waiting: how many of the other tickets pass each condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The ticket.
    pub ticket: Uuid,
    /// Its query.
    pub query: String,
    /// Whether it looks for others; if not it is only found by them.
    pub active: bool,
    /// In how many intervals it looked.
    pub intervals: usize,
    /// How many more players it needs at least, and for the largest group.
    pub needs: (u32, u32),
    /// How many other tickets wait.
    pub others: usize,
    /// How many of them are of its party, or have a session in common with it.
    pub beside: usize,
    /// Of how many the counts lie within its own, with room for all who wait in them.
    pub fit_counts: usize,
    /// How many its query matches.
    pub match_query: usize,
    /// Each clause of its query.
    pub clauses: Vec<ClauseCount>,
    /// How many pass all of these.
    pub fit: usize,
    /// How many of these match the ticket by their own queries, as precision in both directions asks.
    pub fit_mutually: usize,
    /// How many players wait in those that it can take.
    pub players: u32,
    /// How many other tickets could find this one when they look: their query matches it and its
    /// counts lie within theirs.
    pub found_by: usize,
    /// How many that passed all of these were matched with others in the last interval.
    pub taken: usize,
    /// What it lacks, in words.
    pub lacks: Lack,
}

/// A clause of a query, and how many of the other tickets satisfy it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClauseCount {
    /// As it was written.
    pub text: String,
    /// Whether a ticket that does not satisfy it cannot be taken.
    pub required: bool,
    /// How many of the other tickets satisfy it; of a clause with `-`, how many it does not match.
    pub satisfied: usize,
}

/// The first condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// No other ticket waits.
    Others,
    /// Those who made the ticket are as many as it wants, or more.
    Room,
    /// No other ticket satisfies this clause.
    Clause(String),
    /// No other ticket satisfies all clauses.
    Query,
    /// No ticket that its query matches has counts within its own.
    Counts,
    /// All that fit are of its own party or sessions.
    Strangers,
    /// Those that fit do not match it by their queries.
    Mutual,
    /// Those that fit are not enough.
    Players,
    /// Enough wait for a small group, which it takes in its last interval.
    Time,
    /// It was not looked for yet, or those that fit do not go together.
    Turn,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Others => "no other ticket waits",
            Self::Room => "it is as large as the groups it wants",
            Self::Clause(text) => return write!(f, "no other ticket satisfies {text}"),
            Self::Query => "no other ticket satisfies all clauses",
            Self::Counts => "what matches wants other counts",
            Self::Strangers => "what matches is of its own party or session",
            Self::Mutual => "what matches does not want it in turn",
            Self::Players => "what matches is not enough",
            Self::Time => "what matches is enough for a smaller group, later",
            Self::Turn => "what matches was not yet looked at, or does not go together",
        })
    }
}

/// Explains the ticket at `slot`; `taken` are those that were matched in the last interval.
pub(super) fn explain(
    index: &Index,
    slot: u32,
    rules: &Rules,
    active: bool,
    taken: &[Arc<Ticket>],
) -> Option<Explanation> {
    let waiting = index.at(slot)?;
    let ticket = &*waiting.ticket;
    let (counts, own) = (ticket.counts, ticket.size());
    let room = counts.max().saturating_sub(own);
    let fits_counts = |other: &Ticket| counts.cover(other.counts) && other.size() <= room;
    // It was read when the ticket was made.
    let parts = Query::parts(&ticket.query_text).unwrap_or_default();
    let alone = |sign: Sign| parts.iter().filter(|part| part.sign == sign).count();
    let mut explanation = Explanation {
        ticket: ticket.id,
        query: ticket.query_text.clone(),
        active,
        intervals: waiting.intervals,
        needs: (counts.min().saturating_sub(own), room),
        others: index.len() - 1,
        beside: 0,
        fit_counts: 0,
        match_query: 0,
        clauses: parts
            .iter()
            .map(|part| ClauseCount {
                text: part.text.clone(),
                required: match part.sign {
                    Sign::Must | Sign::MustNot => true,
                    Sign::Should => alone(Sign::Must) == 0 && alone(Sign::Should) == 1,
                },
                satisfied: 0,
            })
            .collect(),
        fit: 0,
        fit_mutually: 0,
        players: 0,
        found_by: 0,
        taken: 0,
        lacks: Lack::Turn,
    };
    let mut match_and_fit_counts = 0;
    for (_, other) in index.iter().filter(|(other, _)| *other != slot) {
        let other = &*other.ticket;
        for (part, clause) in parts.iter().zip(&mut explanation.clauses) {
            let matched = part.query.score(other.fields()).is_some();
            clause.satisfied += usize::from(matched != (part.sign == Sign::MustNot));
        }
        let (beside, fits_counts) = (ticket.is_beside(other), fits_counts(other));
        let matched = ticket.accepts(other);
        let accepted = other.accepts(ticket);
        explanation.beside += usize::from(beside);
        explanation.fit_counts += usize::from(fits_counts);
        explanation.match_query += usize::from(matched);
        match_and_fit_counts += usize::from(matched && fits_counts);
        if !beside && other.counts.cover(counts) && accepted {
            explanation.found_by += 1;
        }
        if matched && fits_counts && !beside {
            explanation.fit += 1;
            explanation.fit_mutually += usize::from(accepted);
            if accepted || !rules.mutual {
                explanation.players = explanation.players.saturating_add(other.size());
            }
        }
    }
    let passes = |other: &&Arc<Ticket>| {
        fits_counts(other) && ticket.accepts(other) && !ticket.is_beside(other)
    };
    explanation.taken = taken.iter().filter(passes).count();
    let unsatisfied =
        explanation.clauses.iter().find(|clause| clause.required && clause.satisfied == 0);
    explanation.lacks = if explanation.others == 0 {
        Lack::Others
    } else if room == 0 {
        Lack::Room
    } else if let Some(clause) = unsatisfied {
        Lack::Clause(clause.text.clone())
    } else if explanation.match_query == 0 {
        Lack::Query
    } else if match_and_fit_counts == 0 {
        Lack::Counts
    } else if explanation.fit == 0 {
        Lack::Strangers
    } else if rules.mutual && explanation.fit_mutually == 0 {
        Lack::Mutual
    } else if explanation.players < explanation.needs.0.max(1) {
        Lack::Players
    } else if explanation.players < room && active {
        Lack::Time
    } else {
        Lack::Turn
    };
    Some(explanation)
}
