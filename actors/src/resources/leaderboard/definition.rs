//! What a leaderboard or a tournament is, and when its periods begin and end.
//!
//! Both are rows of one table; a duration makes a tournament of it. All times are Unix seconds, UTC.

use croner::Cron;
use guildhall_core::Result;
use guildhall_proto::{Timestamp, api};

use super::Refusal;
use crate::runtime::host::clock;

/// The size of a tournament that has room for everybody.
pub const UNLIMITED: i32 = i32::MAX;

/// Which score is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortOrder {
    /// The lowest.
    Ascending,
    /// The highest.
    Descending,
}

impl SortOrder {
    /// The order of a column's value.
    pub const fn of_column(value: i16) -> Self {
        if value == 0 { Self::Ascending } else { Self::Descending }
    }

    /// The column's value, which is the API's too.
    pub const fn column(self) -> i16 {
        match self {
            Self::Ascending => 0,
            Self::Descending => 1,
        }
    }

    /// The order that a module names.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "asc" | "ascending" => Some(Self::Ascending),
            "desc" | "descending" => Some(Self::Descending),
            _ => None,
        }
    }
}

/// How a score meets the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The better one stays; score and subscore each by itself.
    Best,
    /// The new one replaces the old one.
    Set,
    /// They are added.
    Increment,
    /// The new one is taken off, down to 0; a record begins at 0.
    Decrement,
}

impl Operator {
    /// The operator of a column's value.
    pub const fn of_column(value: i16) -> Self {
        match value {
            1 => Self::Set,
            2 => Self::Increment,
            3 => Self::Decrement,
            _ => Self::Best,
        }
    }

    /// The column's value.
    pub const fn column(self) -> i16 {
        match self {
            Self::Best => 0,
            Self::Set => 1,
            Self::Increment => 2,
            Self::Decrement => 3,
        }
    }

    /// The operator that a client asks for in place of the board's; `None` for the board's.
    ///
    /// # Errors
    /// [`Refusal::Operator`] for a number that is none.
    pub const fn of_wire(value: i32) -> Result<Option<Self>, Refusal> {
        match value {
            0 => Ok(None),
            1 => Ok(Some(Self::Best)),
            2 => Ok(Some(Self::Set)),
            3 => Ok(Some(Self::Increment)),
            4 => Ok(Some(Self::Decrement)),
            _ => Err(Refusal::Operator),
        }
    }

    /// The operator as the API counts them.
    pub const fn wire(self) -> api::Operator {
        match self {
            Self::Best => api::Operator::Best,
            Self::Set => api::Operator::Set,
            Self::Increment => api::Operator::Increment,
            Self::Decrement => api::Operator::Decrement,
        }
    }

    /// The operator that a module names.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "best" => Some(Self::Best),
            "set" => Some(Self::Set),
            "incr" | "increment" => Some(Self::Increment),
            "decr" | "decrement" => Some(Self::Decrement),
            _ => None,
        }
    }

    /// The name that modules see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Set => "set",
            Self::Increment => "increment",
            Self::Decrement => "decrement",
        }
    }
}

/// When a board begins anew.
#[derive(Clone, Debug)]
pub struct Reset {
    /// The cron expression, as it was given.
    pub expression: String,
    schedule: Cron,
}

impl Reset {
    /// Reads a cron expression; `None` for an empty one.
    ///
    /// # Errors
    /// `InvalidArgument` if it is none.
    pub fn parse(expression: &str) -> Result<Option<Self>> {
        if expression.is_empty() {
            return Ok(None);
        }
        let schedule = clock::schedule(expression)?;
        Ok(Some(Self { expression: expression.to_owned(), schedule }))
    }

    /// The first instant after `after_s`; [`NEVER_S`] where there is none.
    fn next_s(&self, after_s: i64) -> i64 {
        clock::next(&self.schedule, after_s).unwrap_or(NEVER_S)
    }

    fn previous_s(&self, before_s: i64) -> Option<i64> {
        clock::previous(&self.schedule, before_s)
    }
}

/// An instant that does not come.
const NEVER_S: i64 = i64::MAX;

/// An instant, or 0 for one that does not come, as the API has it.
const fn or_zero(instant_s: i64) -> i64 {
    if instant_s == NEVER_S { 0 } else { instant_s }
}

/// What stands in the row of a leaderboard or tournament.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the columns'")]
pub struct Definition {
    pub id: String,
    /// Only the server writes records.
    pub authoritative: bool,
    pub sort_order: SortOrder,
    pub operator: Operator,
    pub reset: Option<Reset>,
    /// JSON text.
    pub metadata: String,
    /// Unix microseconds.
    pub create_time_us: i64,
    pub category: i16,
    pub description: String,
    /// How long a period takes scores (s); 0 for a leaderboard.
    pub duration_s: i64,
    /// After it the tournament is over; 0 for never.
    pub end_s: i64,
    pub join_required: bool,
    /// How many may take part; [`UNLIMITED`].
    pub max_size: i32,
    /// How many scores one may send in a period.
    pub max_num_score: i32,
    pub title: String,
    pub start_s: i64,
    /// Whether ranks are told.
    pub ranked: bool,
}

/// One period of a board: what is written in it stands under its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Scores are taken from here; 0 for a leaderboard.
    pub start_s: i64,
    /// Scores are taken until here; 0 for a leaderboard.
    pub end_s: i64,
    /// The records of the period end here; 0 for never.
    pub expiry_s: i64,
}

impl Period {
    /// Whether scores are taken.
    pub const fn takes_scores(&self, now_s: i64) -> bool {
        self.start_s <= now_s && now_s < self.end_s
    }

    /// Whether its records have ended.
    pub const fn is_over(&self, now_s: i64) -> bool {
        self.expiry_s != 0 && self.expiry_s <= now_s
    }
}

impl Definition {
    /// Whether it is a tournament.
    pub const fn is_tournament(&self) -> bool {
        self.duration_s != 0
    }

    /// Whether only so many may take part.
    pub const fn has_max_size(&self) -> bool {
        self.max_size != UNLIMITED
    }

    /// When it was made.
    pub const fn create_time_s(&self) -> i64 {
        self.create_time_us.div_euclid(1_000_000)
    }

    /// Whether a tournament is over for good.
    pub const fn has_ended(&self, now_s: i64) -> bool {
        self.end_s > 0 && self.end_s <= now_s
    }

    /// The period that `now_s` is in; of a tournament between two periods the one before, and of
    /// one that has not begun its first.
    ///
    /// Source: Nakama, `server/core_tournament.go`.
    pub fn period(&self, now_s: i64) -> Period {
        match &self.reset {
            None if !self.is_tournament() => Period { start_s: 0, end_s: 0, expiry_s: 0 },
            Some(_) if !self.is_tournament() => {
                Period { start_s: 0, end_s: 0, expiry_s: self.next_schedule(now_s) }
            }
            None => {
                let end_s = self.start_s.saturating_add(self.duration_s);
                let end_s = if self.end_s > 0 { end_s.min(self.end_s) } else { end_s };
                Period { start_s: self.start_s, end_s, expiry_s: self.end_s }
            }
            Some(reset) => self.scheduled(reset, now_s),
        }
    }

    fn scheduled(&self, reset: &Reset, now_s: i64) -> Period {
        let from = |start_s: i64| {
            let expiry_s = reset.next_s(start_s);
            Period {
                start_s,
                end_s: start_s.saturating_add(self.duration_s).min(expiry_s),
                expiry_s,
            }
        };
        let mut period = if now_s < self.start_s {
            from(reset.next_s(self.start_s))
        } else if reset.next_s(now_s.saturating_sub(1)) == now_s {
            from(now_s)
        } else {
            from(reset.previous_s(now_s).unwrap_or(self.start_s))
        };
        if self.start_s > period.end_s {
            // It was made between the end of one period and the beginning of the next.
            period = from(reset.next_s(self.start_s));
        } else {
            period.start_s = period.start_s.max(self.start_s);
        }
        if self.end_s > 0 && period.expiry_s > self.end_s {
            period.expiry_s = self.end_s;
            period.end_s = period.end_s.min(self.end_s);
        }
        period.expiry_s = or_zero(period.expiry_s);
        period
    }

    /// Until when [`period`](Self::period) of `now_s` and later instants is the same.
    pub fn period_until(&self, now_s: i64) -> i64 {
        match &self.reset {
            None => NEVER_S,
            Some(_) if self.is_tournament() && now_s < self.start_s => self.start_s,
            Some(reset) => reset.next_s(now_s),
        }
    }

    /// The schedule's next instant after `now_s`; 0 where there is none.
    pub fn next_schedule(&self, now_s: i64) -> i64 {
        self.reset.as_ref().map_or(0, |reset| or_zero(reset.next_s(now_s)))
    }

    /// The first instant after `after_s` at which a period of the tournament takes no more scores.
    pub fn next_end(&self, after_s: i64) -> Option<i64> {
        if !self.is_tournament() {
            return None;
        }
        self.first_after(after_s, |period| period.end_s)
    }

    /// The first instant after `after_s` at which records end.
    pub fn next_reset(&self, after_s: i64) -> Option<i64> {
        self.first_after(after_s, |period| period.expiry_s)
    }

    fn first_after(&self, after_s: i64, instant_of: impl Fn(&Period) -> i64) -> Option<i64> {
        let mut at_s = after_s;
        // What has passed in one period comes again in the next.
        for _ in 0..3 {
            if self.has_ended(at_s) {
                return None;
            }
            let period = self.period(at_s);
            let instant_s = instant_of(&period);
            if instant_s > after_s {
                return Some(instant_s);
            }
            if period.expiry_s <= at_s {
                return None;
            }
            at_s = period.expiry_s;
        }
        None
    }

    /// The last reset before `now_s` of a board that began at `start_s`; 0 where there is none.
    fn previous_reset(&self, now_s: i64, start_s: i64) -> i64 {
        match &self.reset {
            Some(reset) if start_s <= now_s => reset.previous_s(now_s).unwrap_or(0),
            _ => 0,
        }
    }

    /// The leaderboard as the API has it at `now_s`.
    pub fn leaderboard(&self, now_s: i64) -> api::Leaderboard {
        api::Leaderboard {
            id: self.id.clone(),
            sort_order: u32::from(self.sort_order == SortOrder::Descending),
            operator: self.operator.wire().into(),
            prev_reset: unsigned(self.previous_reset(now_s, self.create_time_s())),
            next_reset: unsigned(self.next_schedule(now_s)),
            metadata: self.metadata.clone(),
            create_time: Some(Timestamp::from_seconds(self.create_time_s())),
            authoritative: self.authoritative,
        }
    }

    /// The tournament as the API has it at `now_s` while `size` take part.
    pub fn tournament(&self, now_s: i64, size: i32) -> api::Tournament {
        let period = self.period(now_s);
        let open = period.start_s <= now_s && now_s <= period.end_s;
        api::Tournament {
            id: self.id.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            category: unsigned(self.category.into()),
            sort_order: u32::from(self.sort_order == SortOrder::Descending),
            size: unsigned(size.into()),
            max_size: unsigned(self.max_size.into()),
            max_num_score: unsigned(self.max_num_score.into()),
            can_enter: open && size < self.max_size,
            end_active: unsigned(period.end_s),
            next_reset: unsigned(period.expiry_s),
            metadata: self.metadata.clone(),
            create_time: Some(Timestamp::from_seconds(self.create_time_s())),
            start_time: Some(Timestamp::from_seconds(self.start_s)),
            end_time: (self.end_s > 0).then(|| Timestamp::from_seconds(self.end_s)),
            duration: unsigned(self.duration_s),
            start_active: unsigned(period.start_s),
            prev_reset: unsigned(self.previous_reset(now_s, self.start_s)),
            operator: self.operator.wire().into(),
            authoritative: self.authoritative,
            join_required: self.join_required,
        }
    }
}

/// A number of the API that has no room for a sign.
fn unsigned(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(if value < 0 { 0 } else { u32::MAX })
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// 2001-09-09T00:00:00Z, a Sunday.
    pub(crate) const MIDNIGHT: i64 = 999_993_600;
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    pub(crate) fn board(reset: &str, duration_s: i64, start_s: i64, end_s: i64) -> Definition {
        Definition {
            id: "board".into(),
            authoritative: false,
            sort_order: SortOrder::Descending,
            operator: Operator::Best,
            reset: Reset::parse(reset).unwrap(),
            metadata: "{}".into(),
            create_time_us: 0,
            category: 0,
            description: String::new(),
            duration_s,
            end_s,
            join_required: false,
            max_size: UNLIMITED,
            max_num_score: 1_000_000,
            title: String::new(),
            start_s,
            ranked: true,
        }
    }

    #[track_caller]
    fn check(board: &Definition, now_s: i64, start: i64, end: i64, expiry: i64) {
        let wanted = Period { start_s: start, end_s: end, expiry_s: expiry };
        assert_eq!(board.period(now_s), wanted);
        // It stays so until it says.
        let until = board.period_until(now_s).min(now_s + DAY);
        assert!(until > now_s);
        assert_eq!(board.period(until - 1), wanted, "just before {until}");
    }

    #[test]
    fn records_of_a_leaderboard_end_at_its_next_reset() {
        check(&board("", 0, 0, 0), 5, 0, 0, 0);
        let daily = board("0 0 * * *", 0, 0, 0);
        check(&daily, MIDNIGHT - 1, 0, 0, MIDNIGHT);
        check(&daily, MIDNIGHT, 0, 0, MIDNIGHT + DAY);
        // The thirtieth of February.
        check(&board("0 0 30 2 *", 0, 0, 0), 5, 0, 0, 0);
    }

    #[test]
    fn a_tournament_without_schedule_has_one_period() {
        check(&board("", 600, 1000, 0), 5, 1000, 1600, 0);
        check(&board("", 600, 1000, 5000), 2000, 1000, 1600, 5000);
        check(&board("", 600, 1000, 1200), 2000, 1000, 1200, 1200);
    }

    #[test]
    fn a_schedule_repeats_the_period_of_a_tournament() {
        let noon = MIDNIGHT + 12 * HOUR;
        let daily = board("0 12 * * *", HOUR, MIDNIGHT - 30 * DAY, 0);
        check(&daily, noon, noon, noon + HOUR, noon + DAY);
        check(&daily, noon + 3 * HOUR, noon, noon + HOUR, noon + DAY);
        check(&daily, noon - 1, noon - DAY, noon - DAY + HOUR, noon);
        // Longer than a day: ends where the next one begins.
        let long = board("0 12 * * *", 3 * DAY, MIDNIGHT - 30 * DAY, 0);
        check(&long, noon + 1, noon, noon + DAY, noon + DAY);
        // It ends for good within a period, and between two.
        let ends = board("0 12 * * *", HOUR, MIDNIGHT - 30 * DAY, noon + HOUR / 2);
        check(&ends, noon + 1, noon, noon + HOUR / 2, noon + HOUR / 2);
        let ends = board("0 12 * * *", HOUR, MIDNIGHT - 30 * DAY, noon + 5 * HOUR);
        check(&ends, noon + 1, noon, noon + HOUR, noon + 5 * HOUR);
    }

    #[test]
    fn a_tournament_that_begins_amid_a_period_takes_what_is_left_of_it_or_waits() {
        let noon = MIDNIGHT + 12 * HOUR;
        // Not begun: its first period is at the schedule's next instant.
        let later = board("0 12 * * *", HOUR, noon + 2 * HOUR, 0);
        check(&later, noon, noon + DAY, noon + DAY + HOUR, noon + 2 * DAY);
        // Begun after the hour of the day: waits for the next noon.
        check(&later, noon + 3 * HOUR, noon + DAY, noon + DAY + HOUR, noon + 2 * DAY);
        // Begun within the hour: takes the rest of it.
        let amid = board("0 12 * * *", HOUR, noon + HOUR / 2, 0);
        check(&amid, noon + HOUR / 2, noon + HOUR / 2, noon + HOUR, noon + DAY);
    }

    #[test]
    fn ends_and_resets_follow_one_another() {
        let noon = MIDNIGHT + 12 * HOUR;
        let daily = board("0 12 * * *", HOUR, MIDNIGHT - 30 * DAY, 0);
        assert_eq!(daily.next_end(noon), Some(noon + HOUR));
        assert_eq!(daily.next_end(noon + HOUR), Some(noon + DAY + HOUR));
        assert_eq!(daily.next_reset(noon), Some(noon + DAY));
        assert_eq!(daily.next_reset(noon - 1), Some(noon));
        let once = board("", 600, 1000, 5000);
        assert_eq!((once.next_end(0), once.next_end(1600)), (Some(1600), None));
        assert_eq!((once.next_reset(0), once.next_reset(5000)), (Some(5000), None));
        let endless = board("", 600, 1000, 0);
        assert_eq!((endless.next_end(0), endless.next_reset(0)), (Some(1600), None));
        let leaderboard = board("0 12 * * *", 0, 0, 0);
        assert_eq!(leaderboard.next_end(noon), None);
        assert_eq!(leaderboard.next_reset(noon), Some(noon + DAY));
        // Over for good at the very instant at which a period would begin.
        let ends = board("0 12 * * *", HOUR, MIDNIGHT - 30 * DAY, noon + DAY);
        assert_eq!((ends.next_end(noon + HOUR), ends.next_reset(noon)), (None, Some(noon + DAY)));
        assert_eq!(ends.next_reset(noon + DAY), None);
    }

    #[test]
    fn a_full_tournament_cannot_be_entered() {
        let mut tournament = board("", 600, 1000, 5000);
        tournament.max_size = 2;
        let can_enter = |now_s, size| tournament.tournament(now_s, size).can_enter;
        assert!(!can_enter(999, 0) && can_enter(1000, 1) && !can_enter(1000, 2));
        assert!(can_enter(1600, 0) && !can_enter(1601, 0));
    }
}
