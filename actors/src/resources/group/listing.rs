//! Finding groups, the users of a group and the groups of a user, page by page.

use std::mem::discriminant;

use guildhall_core::Cursor;
use guildhall_proto::api::{group_user_list::GroupUser, user_group_list::UserGroup};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::*;
use crate::resources::user::{self, user_columns};

const LIMIT: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 100.");
const STATE: Status =
    Status::new(Code::InvalidArgument, "Invalid state - state must be between 0 and 4.");
const CURSOR: Status = Status::new(Code::InvalidArgument, "Cursor is invalid.");
const USER_ID_UNSET: Status = Status::new(Code::InvalidArgument, "User ID must be set.");
const NAME_ALONE: Status =
    Status::new(Code::InvalidArgument, "name filter cannot be combined with any other filter");

const LISTING: &str = "Error while trying to list groups.";
const LISTING_USERS: &str = "Error while trying to list users in a group.";
const LISTING_OF_USER: &str = "Error while trying to list groups for a user.";

pub(super) async fn list_groups(
    cx: &Cx,
    _: &mut Caller,
    request: ListGroupsRequest,
) -> Result<GroupList> {
    let limit = match request.limit {
        None => 1,
        Some(limit @ 1..=100) => limit,
        Some(_) => return Err(LIMIT.into()),
    };
    let filter = Filter::new(request.name, request.lang_tag, request.open, request.members)?;
    // A bad cursor is a failure of the server here, as in the reference.
    let after =
        filter.place(&request.cursor).ok_or("not a cursor of this list").or_fault(LISTING)?;
    let page = list(cx, &filter, limit.into(), after).await?;
    Ok(GroupList { groups: page.rows, cursor: page.cursor.unwrap_or_default() })
}

pub(super) async fn list_group_users(
    cx: &Cx,
    _: &mut Caller,
    request: ListGroupUsersRequest,
) -> Result<GroupUserList> {
    let group = group_id(&request.group_id)?;
    let (limit, state) = edge_page(request.limit, request.state)?;
    let after = edge_place::<UserPlace>(&request.cursor, state).ok_or(CURSOR)?;
    let page = users(cx, group, state, limit, after).await?;
    Ok(GroupUserList { group_users: page.rows, cursor: page.cursor.unwrap_or_default() })
}

pub(super) async fn list_user_groups(
    cx: &Cx,
    _: &mut Caller,
    request: ListUserGroupsRequest,
) -> Result<UserGroupList> {
    if request.user_id.is_empty() {
        return Err(USER_ID_UNSET.into());
    }
    // The sentence speaks of a group, as in the reference.
    let user = Uuid::parse_str(&request.user_id).map_err(|_| ID_INVALID)?;
    let (limit, state) = edge_page(request.limit, request.state)?;
    let after = edge_place::<GroupPlace>(&request.cursor, state).ok_or(CURSOR)?;
    let page = of_user(cx, user, state, limit, after).await?;
    Ok(UserGroupList { user_groups: page.rows, cursor: page.cursor.unwrap_or_default() })
}

/// Limit and state of a list of edges, as clients give them.
fn edge_page(limit: Option<i32>, state: Option<i32>) -> Result<(i64, Option<i16>), Status> {
    let limit = match limit {
        None => 100,
        Some(limit @ 1..=100) => i64::from(limit),
        Some(_) => return Err(LIMIT),
    };
    let state = match state {
        None => None,
        Some(state @ 0..=4) => Some(state as i16),
        Some(_) => return Err(STATE),
    };
    Ok((limit, state))
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// In the order of the list.
    pub rows: Vec<T>,
    /// Where to go on, if there is more.
    pub cursor: Option<String>,
}

impl<T> Page<T> {
    /// The page that `limit` of these rows make, where one more says that there is more.
    fn of<C: Cursor>(
        rows: &[Row],
        limit: i64,
        read: impl Fn(&Row) -> Result<T, DbError>,
        place: impl Fn(&Row) -> Result<C, DbError>,
    ) -> Result<Self, DbError> {
        let limit = usize::try_from(limit).unwrap_or_default();
        let cursor = match rows.get(limit) {
            Some(_) => rows[..limit].last().map(place).transpose()?.map(|place| place.encode()),
            None => None,
        };
        Ok(Self { rows: rows.iter().take(limit).map(read).collect::<Result<_, _>>()?, cursor })
    }
}

/// Which groups are looked for. A name stands alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    name: Option<String>,
    lang_tag: Option<String>,
    open: Option<bool>,
    members: Option<i32>,
}

impl Filter {
    /// Groups whose name is like `name`, where `%` stands for anything, but not at the beginning,
    /// and case does not count; in this language; that anybody may join or not; with at most so
    /// many members. What is empty, absent or negative does not matter.
    ///
    /// # Errors
    /// `InvalidArgument` for a name with any of the others.
    pub fn new(
        name: String,
        lang_tag: String,
        open: Option<bool>,
        members: Option<i32>,
    ) -> Result<Self, Status> {
        let lang_tag = Some(lang_tag).filter(|tag| !tag.is_empty());
        let members = members.filter(|members| *members >= 0);
        if !name.is_empty() && (lang_tag.is_some() || open.is_some() || members.is_some()) {
            return Err(NAME_ALONE);
        }
        let name = name.trim_start_matches(['%', ' ']);
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Ok(Self { name, lang_tag, open, members })
    }

    /// The place before all groups, in the order that goes with this filter.
    fn beginning(&self) -> Place {
        // More members than any of these groups has.
        let edge_count = self.members.map_or(i32::MAX, |members| members.saturating_add(1));
        let id = Uuid::max();
        match self {
            Self { name: Some(_), .. } => Place::Name { name: String::new() },
            Self { lang_tag: Some(_), open: None, members: None, .. } => {
                Place::Smallest { edge_count: i32::MIN, id: Uuid::nil() }
            }
            Self { lang_tag: Some(_), .. } => Place::Largest { edge_count, id },
            Self { members: Some(_), open: Some(_), .. } => {
                Place::LargestLanguage { edge_count, lang_tag: String::new(), id }
            }
            Self { members: Some(_), .. } => {
                Place::LargestChanged { edge_count, update_time_us: LAST_US, id }
            }
            _ => Place::Changed { update_time_us: FIRST_US, edge_count: i32::MIN, id: Uuid::nil() },
        }
    }

    /// Where a page begins: the beginning for an empty cursor, `None` for one that belongs to no
    /// or another order.
    pub fn place(&self, cursor: &str) -> Option<Place> {
        let beginning = self.beginning();
        if cursor.is_empty() {
            return Some(beginning);
        }
        Place::decode(cursor).filter(|place| discriminant(place) == discriminant(&beginning))
    }
}

/// The first and the last instant that a list knows, the beginnings of the years 1 and 10000.
const FIRST_US: i64 = -62_135_596_800_000_000;
const LAST_US: i64 = 253_402_300_800_000_000;

/// A place in one of the orders of groups: that of the last group shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the group's")]
pub enum Place {
    /// By name.
    Name { name: String },
    /// What changed long ago first.
    Changed { update_time_us: i64, edge_count: i32, id: Uuid },
    /// What has few members first.
    Smallest { edge_count: i32, id: Uuid },
    /// What has many members first.
    Largest { edge_count: i32, id: Uuid },
    /// What has many members first; of these, what changed lately.
    LargestChanged { edge_count: i32, update_time_us: i64, id: Uuid },
    /// What has many members first; of these, by language backwards.
    LargestLanguage { edge_count: i32, lang_tag: String, id: Uuid },
}

impl Cursor for Place {
    const LIST: &'static str = "groups";
}

impl Place {
    /// The place of a group in the order that `self` is of.
    fn of(&self, row: &Row) -> Result<Self, DbError> {
        let update_time_us = row.try_get::<_, DateTime<Utc>>("update_time")?.timestamp_micros();
        let (edge_count, id) = (row.try_get("edge_count")?, row.try_get("id")?);
        Ok(match self {
            Self::Name { .. } => Self::Name { name: row.try_get("name")? },
            Self::Changed { .. } => Self::Changed { update_time_us, edge_count, id },
            Self::Smallest { .. } => Self::Smallest { edge_count, id },
            Self::Largest { .. } => Self::Largest { edge_count, id },
            Self::LargestChanged { .. } => Self::LargestChanged { edge_count, update_time_us, id },
            Self::LargestLanguage { .. } => {
                Self::LargestLanguage { edge_count, lang_tag: row.try_get("lang_tag")?, id }
            }
        })
    }
}

/// An instant of a cursor, moved to where the database knows instants.
fn instant(us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(us.clamp(FIRST_US, LAST_US)).unwrap_or_default()
}

/// A page of the groups that fit `filter`, after a place that [`Filter::place`] gave.
///
/// # Errors
/// A fault of the database, such as for a name that ends with `\`.
pub async fn list(cx: &Cx, filter: &Filter, limit: i64, after: Place) -> Result<Page<Group>> {
    let Filter { name, lang_tag, open, members } = filter;
    let state = open.map(column);
    let rows = limit + 1;
    let rows = match &after {
        Place::Name { name: after } => cx.db.query(BY_NAME, &[name, after, &rows]).await,
        Place::Changed { update_time_us, edge_count, id } => {
            let after = instant(*update_time_us);
            cx.db.query(BY_CHANGE, &[&state, &after, edge_count, id, &rows]).await
        }
        Place::Smallest { edge_count, id } => {
            cx.db.query(SMALLEST, &[lang_tag, edge_count, id, &rows]).await
        }
        Place::Largest { edge_count, id } => {
            let params: Params<'_> = &[lang_tag, &state, members, edge_count, id, &rows];
            cx.db.query(LARGEST, params).await
        }
        Place::LargestChanged { edge_count, update_time_us, id } => {
            let after = instant(*update_time_us);
            cx.db.query(LARGEST_CHANGED, &[members, edge_count, &after, id, &rows]).await
        }
        Place::LargestLanguage { edge_count, lang_tag, id } => {
            let params: Params<'_> = &[&state, members, edge_count, lang_tag, id, &rows];
            cx.db.query(LARGEST_LANGUAGE, params).await
        }
    };
    rows.and_then(|rows| Page::of(&rows, limit, read, |row| after.of(row))).or_fault(LISTING)
}

/// The place of an edge in a list: that of the last one shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgePlace {
    state: i16,
    position: i64,
}

/// A cursor into a list of edges.
pub trait EdgeCursor: Cursor {
    /// The cursor to behind an edge.
    fn new(place: EdgePlace) -> Self;
    /// The edge.
    fn place(self) -> EdgePlace;
}

/// Declares a cursor into a list of edges.
macro_rules! edge_cursor {
    ($(#[$doc:meta])* $name:ident, $list:literal) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, Deserialize)]
        pub struct $name(i16, i64);

        impl Cursor for $name {
            const LIST: &'static str = $list;
        }

        impl EdgeCursor for $name {
            fn new(place: EdgePlace) -> Self {
                Self(place.state, place.position)
            }
            fn place(self) -> EdgePlace {
                EdgePlace { state: self.0, position: self.1 }
            }
        }
    };
}

edge_cursor!(
    /// A place among the users of a group.
    UserPlace,
    "group_users"
);
edge_cursor!(
    /// A place among the groups of a user.
    GroupPlace,
    "user_groups"
);

/// Where a page of edges begins: the beginning for an empty cursor, `None` for one that belongs to
/// another list or another state.
pub fn edge_place<C: EdgeCursor + DeserializeOwned>(
    cursor: &str,
    state: Option<i16>,
) -> Option<EdgePlace> {
    if cursor.is_empty() {
        return Some(EdgePlace { state: 0, position: i64::MIN });
    }
    let place = C::decode(cursor)?.place();
    state.is_none_or(|state| state == place.state).then_some(place)
}

fn edge<C: EdgeCursor>(row: &Row) -> Result<C, DbError> {
    let (state, position) = (row.try_get("edge_state")?, row.try_get("position")?);
    Ok(C::new(EdgePlace { state, position }))
}

fn edge_state(row: &Row) -> Result<Option<i32>, DbError> {
    Ok(Some(row.try_get::<_, i16>("edge_state")?.into()))
}

/// A page of the users of a group, by rank and then by when they came. Without a state, those who
/// are banned are left out.
///
/// # Errors
/// A fault of the database.
pub async fn users(
    cx: &Cx,
    group: Uuid,
    state: Option<i16>,
    limit: i64,
    after: EdgePlace,
) -> Result<Page<GroupUser>> {
    let params: Params<'_> = &[&group, &state, &after.state, &after.position, &(limit + 1)];
    let rows = cx.db.query(USERS, params).await;
    let read =
        |row: &Row| Ok(GroupUser { user: Some(user::read(cx, row)?), state: edge_state(row)? });
    rows.and_then(|rows| Page::of(&rows, limit, read, edge::<UserPlace>)).or_fault(LISTING_USERS)
}

/// A page of the groups of a user, by rank and then by when it came to them.
///
/// # Errors
/// A fault of the database.
pub async fn of_user(
    cx: &Cx,
    user: Uuid,
    state: Option<i16>,
    limit: i64,
    after: EdgePlace,
) -> Result<Page<UserGroup>> {
    let params: Params<'_> = &[&user, &state, &after.state, &after.position, &(limit + 1)];
    let rows = cx.db.query(OF_USER, params).await;
    let read = |row: &Row| Ok(UserGroup { group: Some(read(row)?), state: edge_state(row)? });
    rows.and_then(|rows| Page::of(&rows, limit, read, edge::<GroupPlace>)).or_fault(LISTING_OF_USER)
}

/// A statement over groups: its condition beside that they are enabled, order and number of rows.
macro_rules! select_groups {
    ($rest:literal) => {
        concat!("SELECT ", group_columns!(), " FROM groups g WHERE ", enabled!(), " AND ", $rest)
    };
}

/// $1 pattern, $2 name to begin after, $3 rows. Reads groups_name_key.
const BY_NAME: &str =
    select_groups!("g.name ILIKE $1 AND g.name > $2::text ORDER BY g.name LIMIT $3");

/// $1 state or null for both, ($2, $3, $4) to begin after, $5 rows.
/// Reads update_time_edge_count_id_idx.
const BY_CHANGE: &str = select_groups!(
    "($1::int2 IS NULL OR g.state = $1) AND (g.update_time, g.edge_count, g.id) > ($2, $3, $4)
     ORDER BY g.update_time, g.edge_count, g.id LIMIT $5"
);

/// $1 language, ($2, $3) to begin after, $4 rows. Reads the primary key of groups.
const SMALLEST: &str = select_groups!(
    "g.lang_tag = $1 AND (g.edge_count, g.id) > ($2, $3)
     ORDER BY g.edge_count, g.id LIMIT $4"
);

/// $1 language, $2 state or null for both, $3 most members or null, ($4, $5) to begin after,
/// $6 rows. Reads the primary key of groups backwards.
const LARGEST: &str = select_groups!(
    "g.lang_tag = $1 AND ($2::int2 IS NULL OR g.state = $2)
     AND ($3::int4 IS NULL OR g.edge_count <= $3) AND (g.edge_count, g.id) < ($4, $5)
     ORDER BY g.edge_count DESC, g.id DESC LIMIT $6"
);

/// $1 most members, ($2, $3, $4) to begin after, $5 rows.
/// Reads edge_count_update_time_id_idx backwards.
const LARGEST_CHANGED: &str = select_groups!(
    "g.edge_count <= $1 AND (g.edge_count, g.update_time, g.id) < ($2, $3, $4)
     ORDER BY g.edge_count DESC, g.update_time DESC, g.id DESC LIMIT $5"
);

/// $1 state, $2 most members, ($3, $4, $5) to begin after, $6 rows.
/// Reads edge_count_update_time_id_idx backwards.
const LARGEST_LANGUAGE: &str = select_groups!(
    "g.state = $1 AND g.edge_count <= $2 AND (g.edge_count, g.lang_tag, g.id) < ($3, $4::text, $5)
     ORDER BY g.edge_count DESC, g.lang_tag DESC, g.id DESC LIMIT $6"
);

/// $1 group, $2 state or null for all but banned, ($3, $4) to begin after, $5 rows.
/// Reads the primary key of group_edge.
const USERS: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", e.state AS edge_state, e.position
       FROM group_edge e JOIN users u ON u.id = e.destination_id
      WHERE e.source_id = $1 AND e.state BETWEEN coalesce($2::int2, 0) AND coalesce($2::int2, 3)
        AND (e.state, e.position) > ($3, $4)
      ORDER BY e.state, e.position LIMIT $5"
);

/// $1 user, $2 state or null for all but banned, ($3, $4) to begin after, $5 rows.
/// Reads the primary key of group_edge.
const OF_USER: &str = concat!(
    "SELECT ",
    group_columns!(),
    ", e.state AS edge_state, e.position
       FROM group_edge e JOIN groups g ON g.id = e.destination_id AND ",
    enabled!(),
    " WHERE e.source_id = $1 AND e.state BETWEEN coalesce($2::int2, 0) AND coalesce($2::int2, 3)
        AND (e.state, e.position) > ($3, $4)
      ORDER BY e.state, e.position LIMIT $5"
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn filter(name: &str, lang_tag: &str, open: Option<bool>, members: Option<i32>) -> Filter {
        Filter::new(name.into(), lang_tag.into(), open, members).unwrap()
    }

    #[test]
    fn a_name_is_looked_for_alone_and_not_from_its_middle() {
        for (lang_tag, open, members) in
            [("en", None, None), ("", Some(false), None), ("", None, Some(0))]
        {
            let refused = Filter::new("a".into(), lang_tag.into(), open, members);
            assert_eq!(refused, Err(NAME_ALONE));
        }
        assert_eq!(filter("a", "", None, Some(-1)).name.as_deref(), Some("a"));
        assert_eq!(filter(" % a%", "", None, None).name.as_deref(), Some("a%"));
        assert_eq!(filter("%", "", None, None), Filter::default());
    }

    #[test]
    fn a_cursor_belongs_to_the_order_of_its_filter() {
        let filters = [
            filter("a", "", None, None),
            filter("", "", None, None),
            filter("", "en", None, None),
            filter("", "en", Some(true), None),
            filter("", "", None, Some(3)),
            filter("", "", Some(true), Some(3)),
        ];
        for (at, one) in filters.iter().enumerate() {
            for (other_at, other) in filters.iter().enumerate() {
                let cursor = one.beginning().encode();
                let expected = (at == other_at).then(|| one.beginning());
                assert_eq!(other.place(&cursor), expected, "{one:?} {other:?}");
            }
            assert_eq!(one.place("garbage"), None);
            assert_eq!(one.place(""), Some(one.beginning()));
        }
    }

    #[test]
    fn a_cursor_of_edges_belongs_to_its_list_and_state() {
        let place = EdgePlace { state: 2, position: 5 };
        let cursor = UserPlace::new(place).encode();
        assert_eq!(edge_place::<UserPlace>(&cursor, None), Some(place));
        assert_eq!(edge_place::<UserPlace>(&cursor, Some(2)), Some(place));
        assert_eq!(edge_place::<UserPlace>(&cursor, Some(1)), None);
        assert_eq!(edge_place::<GroupPlace>(&cursor, None), None);
        assert_eq!(edge_place::<UserPlace>("garbage", None), None);
    }
}
