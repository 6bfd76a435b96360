//! What purchases and subscriptions have in common: whose they are, where they were made, and the
//! pages of their lists.

use chrono::{DateTime, Utc};
use guildhall_core::{Cursor, OrFault, Result, Status};
use guildhall_proto::{Timestamp, api::StoreEnvironment};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    cx::Cx,
    database::{DbError, Sql},
    providers::iap::Environment,
};

/// The most rows of a page, and how many there are where nobody says.
pub(super) const MAX_LIMIT: i64 = 100;

/// The number of an environment, on the wire and in the database.
pub(super) fn environment(environment: Environment) -> i16 {
    let number = match environment {
        Environment::Sandbox => StoreEnvironment::Sandbox,
        Environment::Production => StoreEnvironment::Production,
    };
    number as i16
}

/// A user's id on the wire: that of a deleted account is empty.
pub(super) fn user_text(user: Uuid) -> String {
    if user.is_nil() { String::new() } else { user.to_string() }
}

/// The refund time on the wire and in the database, which is 1970 where there was none.
pub(super) fn refund_time(refunded: Option<DateTime<Utc>>) -> DateTime<Utc> {
    refunded.unwrap_or(DateTime::UNIX_EPOCH)
}

/// Whole seconds, as modules get a time.
pub(super) fn seconds(time: Option<Timestamp>) -> i64 {
    time.unwrap_or_default().seconds
}

/// A row of a page: when it was bought, by whom, and what the store calls it; the order of a list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Place {
    bought_us: i64,
    user: Uuid,
    id: String,
    /// Whether the page ends here rather than beginning here.
    back: bool,
    /// The user whose list it is, if it is one's.
    of: Option<Uuid>,
}

/// A list of what was bought, latest first.
pub(super) trait List: Cursor + From<Place> + Into<Place> {
    /// $1 user or null for all, then the row before the page: $2 time, $3 user, $4 id; $5 rows.
    const AFTER: &'static str;
    /// The same backwards: the row behind the page.
    const BEFORE: &'static str;
    /// The column of the id.
    const ID: &'static str;
    /// What a cursor that is none gets.
    const BAD_CURSOR: Status;
    /// What a failing list is called.
    const LISTING: &'static str;
}

/// A page of a list.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    pub(super) next: String,
    pub(super) previous: String,
}

/// A page of up to `limit` rows, of one user or of all.
///
/// # Errors
/// [`List::BAD_CURSOR`], also for a cursor of another user's list.
pub(super) async fn page<L: List>(
    cx: &Cx,
    user: Option<Uuid>,
    limit: i64,
    cursor: &str,
) -> Result<Page> {
    let given: Option<Place> = match cursor {
        "" => None,
        text => Some(L::decode(text).ok_or(L::BAD_CURSOR)?.into()),
    };
    if given.as_ref().is_some_and(|place| place.of != user) {
        return Err(L::BAD_CURSOR.into());
    }
    let back = given.as_ref().is_some_and(|place| place.back);
    let first = (DateTime::<Utc>::MAX_UTC, Uuid::max(), String::new());
    let (time, owner, id) = match &given {
        None => first,
        Some(place) => {
            let time = DateTime::from_timestamp_micros(place.bought_us).ok_or(L::BAD_CURSOR)?;
            (time, place.user, place.id.clone())
        }
    };
    let sql = if back { L::BEFORE } else { L::AFTER };
    let rows = cx.db.query(sql, &[&user, &time, &owner, &id, &(limit + 1)]).await;
    let mut rows = rows.or_fault(L::LISTING)?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or_default());
    if back {
        rows.reverse();
    }
    let place = |row: Option<&Row>, back: bool| -> Result<String> {
        let Some(row) = row else { return Ok(String::new()) };
        let read = || -> Result<_, DbError> {
            let time: DateTime<Utc> = row.try_get("purchase_time")?;
            let (user, id) = (row.try_get("user_id")?, row.try_get(L::ID)?);
            Ok((time.timestamp_micros(), user, id))
        };
        let (bought_us, owner, id) = read().or_fault(L::LISTING)?;
        Ok(L::from(Place { bought_us, user: owner, id, back, of: user }).encode())
    };
    let (has_next, has_previous) = (back || more, if back { more } else { given.is_some() });
    let next = place(rows.last().filter(|_| has_next), false)?;
    let previous = place(rows.first().filter(|_| has_previous), true)?;
    Ok(Page { rows, next, previous })
}
