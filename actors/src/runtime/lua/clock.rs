//! `os.date` and `os.time`, in UTC.
//!
//! Source: Nakama, `server/runtime_lua_oslib.go` and `server/runtime_lua_utils.go`: the letters
//! and layouts are theirs (`%c` is "02 Jan 06 15:04 UTC", `%x` hour, minute and year).

use std::fmt::Write;

use chrono::{DateTime, Datelike, Timelike, Utc};

/// An instant by the letters of `format`, or `None` for one beyond what dates can say.
pub(super) fn date(format: &str, seconds: i64) -> Option<String> {
    let time = DateTime::from_timestamp(seconds, 0)?;
    let mut out = String::with_capacity(format.len() + 16);
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            None | Some('%') => out.push('%'),
            Some(letter) => match layout(letter) {
                Some(layout) => {
                    // Writing to a String does not fail, and the layouts are chrono's own.
                    let _ = write!(out, "{}", time.format(layout));
                }
                None => {
                    out.push('%');
                    out.push(letter);
                }
            },
        }
    }
    Some(out)
}

fn layout(letter: char) -> Option<&'static str> {
    Some(match letter {
        'a' => "%a",
        'A' => "%A",
        'b' => "%b",
        'B' => "%B",
        'c' => "%d %b %y %H:%M UTC",
        'd' => "%d",
        'F' => "%Y-%m-%d",
        'H' => "%H",
        'I' => "%I",
        'm' => "%m",
        'M' => "%M",
        'p' => "%p",
        'P' => "%P",
        'S' => "%S",
        'w' => "%w",
        'x' => "%H/%M/%S",
        'X' => "%H:%M:%S",
        'y' => "%y",
        'Y' => "%Y",
        'z' => "+0000",
        'Z' => "UTC",
        _ => return None,
    })
}

/// The fields of `os.date("*t")`, but for `isdst`; Sunday is 0.
pub(super) fn fields(seconds: i64) -> Option<[(&'static str, f64); 8]> {
    let time = DateTime::from_timestamp(seconds, 0)?;
    Some([
        ("year", f64::from(time.year())),
        ("month", f64::from(time.month())),
        ("day", f64::from(time.day())),
        ("hour", f64::from(time.hour())),
        ("min", f64::from(time.minute())),
        ("sec", f64::from(time.second())),
        ("wday", f64::from(time.weekday().num_days_from_sunday())),
        ("yday", f64::from(time.ordinal())),
    ])
}

/// Unix seconds now.
pub(super) fn now() -> i64 {
    Utc::now().timestamp()
}

/// A date and a time of day whose parts may be beyond their ranges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

/// The Unix seconds of `calendar`: month 13 is the next January.
pub(super) fn seconds(calendar: Calendar) -> i64 {
    let months = calendar.year.saturating_mul(12).saturating_add(calendar.month.saturating_sub(1));
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12));
    // Years are counted from March, so that the leap day is the last.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5;
    let days = era
        .saturating_mul(146_097)
        .saturating_add(year * 365 + year / 4 - year / 100 + day_of_year - 719_468)
        .saturating_add(calendar.day.saturating_sub(1));
    days.saturating_mul(86_400)
        .saturating_add(calendar.hour.saturating_mul(3600))
        .saturating_add(calendar.minute.saturating_mul(60))
        .saturating_add(calendar.second)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_in_the_reference() {
        for (format, seconds, expected) in [
            ("%Y-%m-%dT%H:%M:%S", 1_000_000_000, "2001-09-09T01:46:40"),
            ("100%%", 0, "100%"),
            ("%c", 0, "01 Jan 70 00:00 UTC"),
            ("%x %X", 0, "00/00/00 00:00:00"),
            (
                "%a %A %b %B %p %y %w %Z %z",
                1_000_000_000,
                "Sun Sunday Sep September AM 01 0 UTC +0000",
            ),
            ("%Q", 0, "%Q"),
            ("end%", 0, "end%"),
        ] {
            assert_eq!(date(format, seconds).unwrap(), expected, "{format}");
        }
    }

    #[test]
    fn parts_beyond_their_range_carry_over() {
        let at = |year, month, day, hour, minute, second| {
            seconds(Calendar { year, month, day, hour, minute, second })
        };
        assert_eq!(at(2001, 9, 9, 1, 46, 40), 1_000_000_000);
        assert_eq!(at(1970, 1, 1, 0, 0, 0), 0);
        assert_eq!(at(2001, 13, 32, 12, 0, 0), at(2002, 2, 1, 12, 0, 0));
        assert_eq!(at(2000, 2, 29, 0, 0, 0), 951_782_400);
        assert_eq!(at(2001, 1, 1, 0, 0, -1), at(2000, 12, 31, 23, 59, 59));
    }
}
