//! Time and schedules.

use chrono::{DateTime, TimeZone, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use guildhall_core::Result;
use schemars::JsonSchema;
use serde::Deserialize;

use super::invalid;
use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin},
};

/// The instant that stands for "never": Go's zero time, in Unix seconds.
const NEVER_S: i64 = -62_135_596_800;

const NO_SCHEDULE: &str = "expects a valid cron string";

/// Reads a schedule of five fields (minute, hour, day, month, weekday), six (and year) or seven
/// (second before, year behind), or a name such as `@daily`.
///
/// # Errors
/// `InvalidArgument` if it is none of these.
///
/// Source: Nakama, `internal/cronexpr`.
pub fn schedule(expression: &str) -> Result<Cron> {
    let fields = expression.split_whitespace().count();
    let whole = match fields {
        1 => expression.trim().to_owned(),
        5 => format!("0 {expression} *"),
        6 => format!("0 {expression}"),
        7 => expression.to_owned(),
        _ => return Err(invalid(NO_SCHEDULE).into()),
    };
    CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .build()
        .parse(&whole)
        .map_err(|_| invalid(NO_SCHEDULE).into())
}

/// The first instant of `schedule` after `after_s` (Unix seconds, UTC), or `None` if there is none.
pub fn next(schedule: &Cron, after_s: i64) -> Option<i64> {
    schedule.find_next_occurrence(&instant(after_s)?, false).ok().map(|next| next.timestamp())
}

/// The last instant of `schedule` before `before_s` (Unix seconds, UTC), or `None` if there is none.
pub fn previous(schedule: &Cron, before_s: i64) -> Option<i64> {
    schedule.find_previous_occurrence(&instant(before_s)?, false).ok().map(|last| last.timestamp())
}

fn instant(unix_s: i64) -> Option<DateTime<Utc>> {
    Utc.timestamp_opt(unix_s, 0).single()
}

/// A schedule as a parameter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(into = "String")]
struct Schedule(Cron);

impl TryFrom<String> for Schedule {
    type Error = &'static str;
    fn try_from(expression: String) -> Result<Self, &'static str> {
        schedule(&expression).map(Self).map_err(|_| "expects a valid cron string")
    }
}

/// `nk.cron_next(expression, timestamp)`: Unix seconds; Go's zero time where there is none.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CronNext {
    expression: Schedule,
    timestamp: i64,
}

impl HostFn for CronNext {
    const NAME: &'static str = "cron_next";
    type Output = i64;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<i64> {
        Ok(next(&self.expression.0, self.timestamp).unwrap_or(NEVER_S))
    }
}

/// `nk.cron_prev(expression, timestamp)`: Unix seconds; Go's zero time where there is none.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CronPrev {
    expression: Schedule,
    timestamp: i64,
}

impl HostFn for CronPrev {
    const NAME: &'static str = "cron_prev";
    type Output = i64;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<i64> {
        Ok(previous(&self.expression.0, self.timestamp).unwrap_or(NEVER_S))
    }
}

/// `nk.time(table)`: now, or the instant the table names, in Unix milliseconds.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Time {
    #[serde(default)]
    tbl: Option<Calendar>,
}

/// A date as `os.date("*t")` gives it, UTC.
#[derive(Debug, Deserialize, JsonSchema)]
struct Calendar {
    year: i32,
    month: u32,
    day: u32,
    #[serde(default = "noon")]
    hour: u32,
    #[serde(default)]
    min: u32,
    #[serde(default)]
    sec: u32,
}

fn noon() -> u32 {
    12
}

impl HostFn for Time {
    const NAME: &'static str = "time";
    const LANGUAGES: &'static [Language] = &[Language::Lua];
    type Output = i64;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<i64> {
        let Some(date) = self.tbl else { return Ok(Utc::now().timestamp_millis()) };
        Utc.with_ymd_and_hms(date.year, date.month, date.day, date.hour, date.min, date.sec)
            .single()
            .map(|instant| instant.timestamp_millis())
            .ok_or_else(|| invalid("expects a table that names a date").into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(expression: &str, after_s: i64, expected: i64) {
        let next = next(&schedule(expression).unwrap(), after_s).unwrap_or(NEVER_S);
        assert_eq!(next, expected, "{expression}");
    }

    #[test]
    fn schedules_of_each_form_find_their_next_instant() {
        check("0 0 * * *", 1_000_000_000, 1_000_080_000);
        check("*/15 * * * 1-5", 1_000_000_001, 1_000_080_000);
        check("@daily", 1_000_000_000, 1_000_080_000);
        check("* * * * * *", 1_000_000_000, 1_000_000_020);
        check("0 0 0 1 1 * 2030", 1_000_000_000, 1_893_456_000);
        check("0 0 L * *", 1_000_000_000, 1_001_808_000);
        check("0 0 * * 5#2", 1_000_000_000, 1_000_425_600);
    }

    #[test]
    fn a_day_that_never_comes_is_never() {
        check("0 0 30 2 *", 1_000_000_000, NEVER_S);
    }

    #[test]
    fn the_previous_instant_is_before() {
        assert_eq!(previous(&schedule("0 0 * * *").unwrap(), 1_000_000_000), Some(999_993_600));
    }

    #[test]
    fn nonsense_is_refused() {
        for expression in ["nonsense", "", "* * *", "61 * * * *"] {
            assert!(schedule(expression).is_err(), "{expression}");
        }
    }
}
