//! Notifications: notices to a user, kept until they are deleted or shown only while it is online.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use guildhall_core::{Caller, Code, Cursor, Error, OrFault, Result, Status};
use guildhall_proto::{
    Empty, Timestamp,
    api::{DeleteNotificationsRequest, ListNotificationsRequest, Notification, NotificationList},
    realtime::{Envelope, Notifications, envelope::Message},
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    clock::now_s,
    cx::Cx,
    database::{Database, DbError, Params, Sql},
    endpoint::Body,
    endpoints,
    realtime::{
        stream::{Stream, mode},
        tracker::Tracker,
    },
    resources::whole_seconds,
};

endpoints! {
    /// A page of the caller's notifications, the oldest first.
    Get "/v2/notification" => ListNotifications(ListNotificationsRequest) -> NotificationList
        { auth: Session, body: Body::None, handle: list_notifications }

    /// Deletes these of the caller's notifications.
    Delete "/v2/notification" => DeleteNotifications(DeleteNotificationsRequest) -> Empty
        { auth: Session, body: Body::None, handle: delete_notifications }
}

const INVALID_LIMIT: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 100.");

const LISTING: &str = "Error retrieving notifications.";
const DELETING: &str = "Error while deleting notifications.";
const SENDING: &str = "Error sending notifications.";
const UPDATING: &str = "Error updating notifications.";

/// Users that one statement of [`send_to_all`] writes to.
const PAGE_OF_USERS: i64 = 10_000;

/// A notification to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Who gets it.
    pub user: Uuid,
    /// What it is about, in a few words.
    pub subject: String,
    /// JSON text of an object.
    pub content: String,
    /// What kind it is; negative codes and 0 are the server's.
    pub code: i32,
    /// Who sent it; the nil id for the system.
    pub sender: Uuid,
    /// Whether it is kept for a user who is not online.
    pub persistent: bool,
}

/// A page of notifications.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The oldest first.
    pub notifications: Vec<Notification>,
    /// Where to go on, now or later.
    pub next: Place,
    /// Whether there is more already.
    pub more: bool,
}

/// A place in a user's notifications: behind this one. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// When it was made, microseconds since 1970.
    time_us: i64,
    id: Uuid,
}

impl Cursor for Place {
    const LIST: &'static str = "notifications";
}

/// What is to change of a notification; `None` leaves a field.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// JSON text of an object.
    pub content: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Who sent it.
    pub sender: Option<Uuid>,
}

async fn list_notifications(
    cx: &Cx,
    caller: &mut Caller,
    request: ListNotificationsRequest,
) -> Result<NotificationList> {
    let limit = match request.limit {
        None => 1,
        Some(limit @ 1..=100) => i64::from(limit),
        Some(_) => return Err(INVALID_LIMIT.into()),
    };
    let after = match request.cacheable_cursor.as_str() {
        "" => Place::default(),
        // Not the caller's fault, in the reference.
        text => Place::decode(text).ok_or("malformed cursor").or_fault(LISTING)?,
    };
    let Page { notifications, next, .. } = list(cx, caller.user_id(), limit, after).await?;
    // The cursor is worth keeping: it gives later what comes after this page.
    Ok(NotificationList { notifications, cacheable_cursor: next.encode() })
}

async fn delete_notifications(
    cx: &Cx,
    caller: &mut Caller,
    request: DeleteNotificationsRequest,
) -> Result<Empty> {
    let ids = request.ids.iter().map(|id| Uuid::try_parse(id)).collect::<Result<Vec<_>, _>>();
    delete(cx, Some(caller.user_id()), &ids.or_fault(DELETING)?).await?;
    Ok(Empty {})
}

/// Sends notifications: those that are persistent are kept, all of them or none; then all are shown
/// to the sockets of their users, those of one user in one message.
///
/// # Errors
/// A fault of the database, such as for a user that does not exist.
pub async fn send(cx: &Cx, drafts: Vec<Draft>) -> Result<()> {
    let sent: Vec<_> = drafts.into_iter().map(|draft| (Uuid::new_v4(), draft)).collect();
    keep(&cx.db, &sent).await?;
    let mut by_user: IndexMap<Uuid, Vec<Notification>> = IndexMap::new();
    for (id, draft) in sent {
        let user = draft.user;
        if cx.tracker.exists(&Stream::of(mode::NOTIFICATIONS, user)) {
            by_user.entry(user).or_default().push(live(id, draft));
        }
    }
    for (user, notifications) in by_user {
        cx.tracker.send(&Stream::of(mode::NOTIFICATIONS, user), &envelope(notifications));
    }
    Ok(())
}

/// Whether [`send`] failed since a user does not exist.
pub fn is_for_nobody(error: &Error) -> bool {
    let Error::Fault(fault) = error else { return false };
    let source = fault.source.downcast_ref::<DbError>();
    source.is_some_and(|error| error.foreign_key_violation().is_some())
}

async fn keep(db: &Database, sent: &[(Uuid, Draft)]) -> Result<()> {
    let kept: Vec<_> = sent.iter().filter(|(_, draft)| draft.persistent).collect();
    if kept.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = kept.iter().map(|(id, _)| *id).collect();
    let users: Vec<_> = kept.iter().map(|(_, draft)| draft.user).collect();
    let subjects: Vec<_> = kept.iter().map(|(_, draft)| draft.subject.as_str()).collect();
    let contents: Vec<_> = kept.iter().map(|(_, draft)| draft.content.as_str()).collect();
    let codes: Vec<_> = kept.iter().map(|(_, draft)| draft.code).collect();
    let senders: Vec<_> = kept.iter().map(|(_, draft)| draft.sender).collect();
    let done = db.execute(INSERT, &[&ids, &users, &subjects, &contents, &codes, &senders]).await;
    done.or_fault(SENDING).map(drop)
}

/// A notification as sockets get it: with its content as it was written, and the nil id for the
/// system, as in the reference.
fn live(id: Uuid, draft: Draft) -> Notification {
    Notification {
        id: id.to_string(),
        subject: draft.subject,
        content: draft.content,
        code: draft.code,
        sender_id: draft.sender.to_string(),
        create_time: Some(Timestamp::from_seconds(now_s())),
        persistent: draft.persistent,
    }
}

fn envelope(notifications: Vec<Notification>) -> Envelope {
    let message = Some(Message::Notifications(Notifications { notifications }));
    Envelope { cid: String::new(), message }
}

/// A notification to everybody, from the system.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// What it is about, in a few words.
    pub subject: String,
    /// JSON text of an object.
    pub content: String,
    /// What kind it is.
    pub code: i32,
}

impl Notice {
    fn to(&self, user: Uuid, persistent: bool) -> Draft {
        let Self { subject, content, code } = self.clone();
        Draft { user, subject, content, code, sender: Uuid::nil(), persistent }
    }
}

/// Sends one notification to everybody: to the sockets there are now or, where it is kept, to all
/// users in the background, page by page; a failure there is logged.
pub fn send_to_all(cx: &Cx, notice: Notice, persistent: bool) {
    if !persistent {
        let notification = live(Uuid::new_v4(), notice.to(Uuid::nil(), false));
        cx.sockets.send_to_all(&envelope(vec![notification]));
        return;
    }
    let (db, tracker) = (cx.db.clone(), Arc::clone(&cx.tracker));
    cx.io.spawn(async move {
        let mut after = Uuid::nil();
        loop {
            match send_to_page(&db, &tracker, &notice, after).await {
                Ok(Some(last)) => after = last,
                Ok(None) => return,
                Err(error) => {
                    let subject = notice.subject;
                    tracing::error!(%error, subject, "could not send a notification to everybody");
                    return;
                }
            }
        }
    });
}

/// Keeps a notification for the next users behind `after`, and shows it to their sockets. Gives the
/// last user of the page; `None` behind the last page.
async fn send_to_page(
    db: &Database,
    tracker: &Tracker,
    notice: &Notice,
    after: Uuid,
) -> Result<Option<Uuid>, DbError> {
    let Notice { subject, content, code } = notice;
    let params: Params<'_> = &[&after, &PAGE_OF_USERS, subject, content, code];
    let mut last = None;
    for row in db.query(INSERT_FOR_PAGE, params).await? {
        let user: Uuid = row.try_get("user_id")?;
        let stream = Stream::of(mode::NOTIFICATIONS, user);
        if tracker.exists(&stream) {
            let notification = live(row.try_get("id")?, notice.to(user, true));
            tracker.send(&stream, &envelope(vec![notification]));
        }
        last = last.max(Some(user));
    }
    Ok(last)
}

/// Up to `limit` notifications of `user` behind `after`, the oldest first.
///
/// # Errors
/// A fault of the database.
pub async fn list(cx: &Cx, user: Uuid, limit: i64, after: Place) -> Result<Page> {
    let time = DateTime::from_timestamp_micros(after.time_us);
    let time = time.ok_or("a cursor beyond the end of time").or_fault(LISTING)?;
    let rows = cx.db.query(LIST, &[&user, &time, &after.id, &(limit + 1)]).await;
    let rows = rows.or_fault(LISTING)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX).min(rows.len());
    let mut page = Page { next: after, more: rows.len() > shown, ..Page::default() };
    for row in &rows[..shown] {
        page.notifications.push(read(row).or_fault(LISTING)?);
        page.next = place(row).or_fault(LISTING)?;
    }
    Ok(page)
}

/// The notifications with these ids, of `user` or of anybody, each with its user; the oldest first.
///
/// # Errors
/// A fault of the database.
pub async fn get(cx: &Cx, user: Option<Uuid>, ids: &[Uuid]) -> Result<Vec<(Uuid, Notification)>> {
    let rows = cx.db.query(GET, &[&ids, &user]).await.or_fault(LISTING)?;
    let found = rows.iter().map(|row| Ok::<_, DbError>((row.try_get("user_id")?, read(row)?)));
    found.collect::<Result<_, _>>().or_fault(LISTING)
}

/// Deletes the notifications with these ids, of `user` or of anybody. One that is not there is no
/// error.
///
/// # Errors
/// A fault of the database.
pub async fn delete(cx: &Cx, user: Option<Uuid>, ids: &[Uuid]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    cx.db.execute(DELETE, &[&ids, &user]).await.or_fault(DELETING).map(drop)
}

/// Deletes notifications of several users: (user, notification).
///
/// # Errors
/// A fault of the database.
pub async fn delete_pairs(cx: &Cx, pairs: &[(Uuid, Uuid)]) -> Result<()> {
    let (users, ids): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    cx.db.execute(DELETE_PAIRS, &[&users, &ids]).await.or_fault(DELETING).map(drop)
}

/// Changes notifications, all of them or none. One that is not there is no error; what stands
/// later for the same one counts.
///
/// # Errors
/// A fault of the database.
pub async fn update(cx: &Cx, changes: Vec<(Uuid, Changes)>) -> Result<()> {
    let mut merged: BTreeMap<Uuid, Changes> = BTreeMap::new();
    for (id, Changes { content, subject, sender }) in changes {
        let known = merged.entry(id).or_default();
        known.content = content.or(known.content.take());
        known.subject = subject.or(known.subject.take());
        known.sender = sender.or(known.sender);
    }
    if merged.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = merged.keys().copied().collect();
    let contents: Vec<_> = merged.values().map(|it| it.content.as_deref()).collect();
    let subjects: Vec<_> = merged.values().map(|it| it.subject.as_deref()).collect();
    let senders: Vec<_> = merged.values().map(|it| it.sender).collect();
    let done = cx.db.execute(UPDATE, &[&ids, &contents, &subjects, &senders]).await;
    done.or_fault(UPDATING).map(drop)
}

fn read(row: &Row) -> Result<Notification, DbError> {
    let sender: Uuid = row.try_get("sender_id")?;
    Ok(Notification {
        id: row.try_get::<_, Uuid>("id")?.to_string(),
        subject: row.try_get("subject")?,
        content: row.try_get("content")?,
        code: i32::from(row.try_get::<_, i16>("code")?),
        sender_id: if sender.is_nil() { String::new() } else { sender.to_string() },
        create_time: Some(whole_seconds(row, "create_time")?),
        persistent: true,
    })
}

fn place(row: &Row) -> Result<Place, DbError> {
    let create_time: DateTime<Utc> = row.try_get("create_time")?;
    Ok(Place { time_us: create_time.timestamp_micros(), id: row.try_get("id")? })
}

/// $1 ids, $2 users, $3 subjects, $4 contents, $5 codes, $6 senders.
const INSERT: &str = "
    INSERT INTO notification (id, user_id, subject, content, code, sender_id)
    SELECT id, user_id, subject, content::jsonb, code, sender_id
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int4[], $6::uuid[])
           AS n (id, user_id, subject, content, code, sender_id)";

/// $1 the user to begin behind, $2 users, $3 subject, $4 content, $5 code. Gives the users that were
/// written to, in no order. They are locked so that none goes while its row is written. Reads the
/// primary key of users.
const INSERT_FOR_PAGE: &str = "
    WITH page AS MATERIALIZED (
        SELECT id FROM users WHERE id > $1 ORDER BY id LIMIT $2 FOR KEY SHARE
    )
    INSERT INTO notification (id, user_id, subject, content, code, sender_id)
    SELECT gen_random_uuid(), id, $3::text, $4::text::jsonb, $5::int4,
           '00000000-0000-0000-0000-000000000000'
      FROM page
    RETURNING id, user_id";

/// $1 user, ($2, $3) the place to begin behind, $4 rows. Reads the primary key.
const LIST: &str = "
    SELECT id, subject, content::text AS content, code, sender_id, create_time
      FROM notification
     WHERE user_id = $1 AND (create_time, id) > ($2, $3)
     ORDER BY create_time, id
     LIMIT $4";

/// $1 ids, $2 user or null for any. Reads notification_id_key.
const GET: &str = "
    SELECT id, user_id, subject, content::text AS content, code, sender_id, create_time
      FROM notification
     WHERE id = ANY($1) AND ($2::uuid IS NULL OR user_id = $2)
     ORDER BY create_time, id";

/// $1 ids, $2 user or null for any. Reads notification_id_key, and locks in its order.
const DELETE: &str = "
    DELETE FROM notification WHERE id IN (
        SELECT id FROM notification
         WHERE id = ANY($1) AND ($2::uuid IS NULL OR user_id = $2)
         ORDER BY id FOR UPDATE)";

/// $1 users, $2 ids. Reads notification_id_key, and locks in its order.
const DELETE_PAIRS: &str = "
    DELETE FROM notification WHERE id IN (
        SELECT n.id FROM notification n
          JOIN unnest($1::uuid[], $2::uuid[]) AS p (user_id, id)
            ON n.id = p.id AND n.user_id = p.user_id
         ORDER BY n.id FOR UPDATE OF n)";

/// $1 ids, each once, then what is to change or null: $2 contents, $3 subjects, $4 senders.
/// Reads notification_id_key, and locks in its order.
const UPDATE: &str = "
    WITH known AS MATERIALIZED (
        SELECT id FROM notification WHERE id = ANY($1) ORDER BY id FOR UPDATE
    )
    UPDATE notification n
       SET content = coalesce(c.content::jsonb, n.content),
           subject = coalesce(c.subject, n.subject),
           sender_id = coalesce(c.sender_id, n.sender_id)
      FROM known
      JOIN unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])
           AS c (id, content, subject, sender_id) USING (id)
     WHERE n.id = known.id";

/// The host functions.
pub mod nk {
    use schemars::JsonSchema;
    use serde::{Deserializer, de::Error as _};
    use serde_json::{Map, Value};

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns, defaults},
        resources::{object_text, object_value, optional_id, raised},
    };

    const USER: &str = "expects user_id to be a valid UUID";
    const SENDER: &str = "expects sender_id to either be not set, empty string or a valid UUID";

    const SUBJECT: Status =
        Status::new(Code::InvalidArgument, "expects subject to be a non-empty string");
    const CONTENT: Status = Status::new(Code::InvalidArgument, "expects content to be an object");
    const CODE: Status =
        Status::new(Code::InvalidArgument, "expects code number to be a positive integer");
    const LIMIT: Status =
        Status::new(Code::InvalidArgument, "expects limit to be value between 1 and 1000");
    const CURSOR: Status = Status::new(Code::InvalidArgument, "Malformed cursor was used.");

    const SENDING: &str = "failed to send notifications";
    const LISTING: &str = "failed to list notifications";
    const DELETING: &str = "failed to delete notifications";

    fn recipient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        let text = String::deserialize(deserializer)?;
        Uuid::try_parse(&text).map_err(|_| D::Error::custom(USER))
    }

    fn sender<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
        optional_id(deserializer).map_err(|_| D::Error::custom(SENDER))
    }

    /// Codes below 1 are the server's, but for a range that is left to modules.
    fn may_be_sent(code: i32) -> bool {
        code > 0 || (-2000..=-1000).contains(&code)
    }

    /// `nk.notification_send(user_id, subject, content, code, sender, persistent)`: sends a
    /// notification to one user.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct NotificationSend {
        /// Who gets it.
        #[serde(deserialize_with = "recipient")]
        user_id: Uuid,
        /// What it is about; not empty.
        subject: String,
        /// An object.
        #[schemars(with = "Map<String, Value>")]
        content: Value,
        /// Above 0, or between -2000 and -1000.
        code: i32,
        /// Who sends it; the system if not given or empty.
        #[serde(default, deserialize_with = "sender")]
        #[schemars(with = "Option<String>")]
        sender: Option<Uuid>,
        /// Whether it is kept until it is deleted.
        #[serde(default)]
        persistent: bool,
    }

    impl HostFn for NotificationSend {
        const NAME: &'static str = "notification_send";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
            if self.subject.is_empty() {
                return Err(SUBJECT.into());
            }
            let content = object_text(origin, &self.content).ok_or(CONTENT)?;
            if !may_be_sent(self.code) {
                return Err(CODE.into());
            }
            let draft = Draft {
                user: self.user_id,
                subject: self.subject,
                content,
                code: self.code,
                sender: self.sender.unwrap_or_default(),
                persistent: self.persistent,
            };
            send(cx, vec![draft]).await.map_err(|error| raised(SENDING, error))
        }
    }

    /// A notification that a module sends.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[schemars(rename = "NotificationRequest")]
    pub struct SendRequest {
        /// Who gets it.
        #[serde(deserialize_with = "recipient")]
        user_id: Uuid,
        /// What it is about; not empty.
        subject: String,
        /// An object.
        #[schemars(with = "Map<String, Value>")]
        content: Value,
        /// Above 0; in JavaScript and native also between -2000 and -1000.
        code: i32,
        /// Who sends it; the system if not given.
        #[serde(default, deserialize_with = "sender")]
        #[schemars(with = "Option<String>")]
        sender_id: Option<Uuid>,
        /// Whether it is kept until it is deleted.
        #[serde(default)]
        persistent: bool,
    }

    /// `nk.notifications_send(notifications)`: sends notifications, all of them or none.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct NotificationsSend {
        /// What is sent.
        notifications: Vec<SendRequest>,
    }

    impl HostFn for NotificationsSend {
        const NAME: &'static str = "notifications_send";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
            let mut drafts = Vec::with_capacity(self.notifications.len());
            for request in self.notifications {
                let allowed = match origin.language {
                    Language::Lua => request.code > 0,
                    Language::JavaScript | Language::Native => may_be_sent(request.code),
                };
                if !allowed {
                    return Err(CODE.into());
                }
                if request.subject.is_empty() {
                    return Err(SUBJECT.into());
                }
                drafts.push(Draft {
                    user: request.user_id,
                    subject: request.subject,
                    content: object_text(origin, &request.content).ok_or(CONTENT)?,
                    code: request.code,
                    sender: request.sender_id.unwrap_or_default(),
                    persistent: request.persistent,
                });
            }
            send(cx, drafts).await.map_err(|error| raised(SENDING, error))
        }
    }

    /// `nk.notification_send_all(subject, content, code, persistent)`: sends a notification to
    /// everybody. Persistent ones are written in the background.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct NotificationSendAll {
        /// What it is about; not empty.
        subject: String,
        /// An object.
        #[schemars(with = "Map<String, Value>")]
        content: Value,
        /// Above 0.
        code: i32,
        /// Whether it is kept until it is deleted.
        #[serde(default)]
        persistent: bool,
    }

    impl HostFn for NotificationSendAll {
        const NAME: &'static str = "notification_send_all";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
            if self.subject.is_empty() {
                return Err(SUBJECT.into());
            }
            let content = object_text(origin, &self.content).ok_or(CONTENT)?;
            if self.code <= 0 {
                return Err(CODE.into());
            }
            let notice = Notice { subject: self.subject, content, code: self.code };
            send_to_all(cx, notice, self.persistent);
            Ok(())
        }
    }

    /// `nk.notifications_list(user_id, limit, cursor)`: a page of a user's notifications, the
    /// oldest first.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct NotificationsList {
        /// Whose.
        user_id: Uuid,
        /// 1 to 1000.
        #[serde(default = "defaults::hundred")]
        limit: i64,
        /// Where to go on.
        #[serde(default)]
        cursor: String,
    }

    /// A notification in a list. The names are so in every language, as in the reference.
    #[derive(Debug, Serialize, JsonSchema)]
    #[schemars(rename = "ApiNotification")]
    #[serde(rename_all = "camelCase")]
    pub struct Listed {
        id: String,
        subject: String,
        /// JSON text of an object.
        content: String,
        code: i32,
        /// Who sent it; empty for the system.
        sender_id: String,
        persistent: bool,
        /// Unix seconds.
        create_time: i64,
    }

    /// A page of notifications.
    #[derive(Debug, Serialize, JsonSchema)]
    #[schemars(rename = "NotificationsList")]
    pub struct ListedPage {
        notifications: Vec<Listed>,
        /// Where to go on, if there is more.
        cursor: Option<String>,
    }

    impl HostFn for NotificationsList {
        const NAME: &'static str = "notifications_list";
        const RETURNS: Returns = Returns::Each;
        type Output = ListedPage;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<ListedPage> {
            if !(1..=1000).contains(&self.limit) {
                return Err(LIMIT.into());
            }
            let after = match self.cursor.as_str() {
                "" => Place::default(),
                text => Place::decode(text).ok_or_else(|| raised(LISTING, CURSOR.into()))?,
            };
            let page = list(cx, self.user_id, self.limit, after).await;
            let page = page.map_err(|error| raised(LISTING, error))?;
            let cursor = page.more.then(|| page.next.encode());
            let shown = |notification: Notification| Listed {
                id: notification.id,
                subject: notification.subject,
                content: notification.content,
                code: notification.code,
                sender_id: notification.sender_id,
                persistent: notification.persistent,
                create_time: notification.create_time.map_or(0, |time| time.seconds),
            };
            let notifications = page.notifications.into_iter().map(shown).collect();
            Ok(ListedPage { notifications, cursor })
        }
    }

    /// `nk.notifications_get_id(notification_ids, user_id)`: the notifications with these ids.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct NotificationsGetId {
        /// Those that are not there are left out.
        notification_ids: Vec<Uuid>,
        /// Only those of this user.
        #[serde(default, deserialize_with = "optional_id")]
        #[schemars(with = "Option<String>")]
        user_id: Option<Uuid>,
    }

    /// A notification that was asked for by id.
    #[derive(Debug, JsonSchema, Serialize)]
    #[serde(untagged)]
    #[schemars(rename = "Notification", from = "FoundFields", into = "FoundFields")]
    pub enum Found {
        /// In JavaScript and native.
        Named(FoundFields),
        /// In Lua.
        Lua(FoundInLua),
    }

    /// A notification that was asked for by id.
    #[derive(Debug, JsonSchema, Serialize)]
    pub struct FoundFields {
        id: String,
        user_id: Uuid,
        subject: String,
        persistent: bool,
        #[schemars(with = "Map<String, Value>")]
        content: Value,
        code: i32,
        /// Who sent it; empty for the system.
        sender: String,
        /// Unix seconds.
        create_time: i64,
    }

    /// A notification that was asked for by id, as Lua gets it in the reference.
    #[derive(Debug, Serialize)]
    pub struct FoundInLua {
        user_id: Uuid,
        subject: String,
        persistent: bool,
        content: Value,
        code: i32,
        sender_id: Option<String>,
        create_time: i64,
    }

    impl HostFn for NotificationsGetId {
        const NAME: &'static str = "notifications_get_id";
        type Output = Vec<Found>;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<Found>> {
            if self.notification_ids.is_empty() {
                return Ok(Vec::new());
            }
            let found = get(cx, self.user_id, &self.notification_ids).await;
            let found = found.map_err(|error| raised("failed to get notifications", error))?;
            let shown = |(user_id, notification): (Uuid, Notification)| {
                let Notification { id, subject, content, code, sender_id: sender, .. } =
                    notification;
                let create_time = notification.create_time.map_or(0, |time| time.seconds);
                let (persistent, content) = (true, object_value(&content)?);
                Ok(match origin.language {
                    Language::Lua => Found::Lua(FoundInLua {
                        user_id,
                        subject,
                        persistent,
                        content,
                        code,
                        sender_id: Some(sender).filter(|sender| !sender.is_empty()),
                        create_time,
                    }),
                    Language::JavaScript | Language::Native => Found::Named(FoundFields {
                        id,
                        user_id,
                        subject,
                        persistent,
                        content,
                        code,
                        sender,
                        create_time,
                    }),
                })
            };
            let found = found.into_iter().map(shown).collect::<serde_json::Result<_>>();
            found.or_fault("failed to convert content to json")
        }
    }

    /// A notification that a module deletes.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[schemars(rename = "NotificationDeleteRequest")]
    pub struct DeleteRequest {
        /// Whose; the system user's if not given, which has none.
        #[serde(default)]
        user_id: Uuid,
        /// Which.
        notification_id: Uuid,
    }

    /// `nk.notifications_delete(notifications)`: deletes notifications of users.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct NotificationsDelete {
        /// Those that are not there are no error.
        notifications: Vec<DeleteRequest>,
    }

    impl HostFn for NotificationsDelete {
        const NAME: &'static str = "notifications_delete";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let pair = |request: &DeleteRequest| (request.user_id, request.notification_id);
            let pairs: Vec<_> = self.notifications.iter().map(pair).collect();
            delete_pairs(cx, &pairs).await.map_err(|error| raised(DELETING, error))
        }
    }

    /// `nk.notifications_delete_id(notification_ids, user_id)`: deletes notifications by their ids.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct NotificationsDeleteId {
        /// Those that are not there are no error.
        notification_ids: Vec<Uuid>,
        /// Only those of this user.
        #[serde(default, deserialize_with = "optional_id")]
        #[schemars(with = "Option<String>")]
        user_id: Option<Uuid>,
    }

    impl HostFn for NotificationsDeleteId {
        const NAME: &'static str = "notifications_delete_id";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = delete(cx, self.user_id, &self.notification_ids).await;
            done.map_err(|error| raised(DELETING, error))
        }
    }

    /// What a module changes of a notification; what is not given stays.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[schemars(rename = "NotificationUpdate")]
    pub struct UpdateRequest {
        /// Which.
        id: Uuid,
        /// An object.
        #[serde(default)]
        #[schemars(with = "Option<Map<String, Value>>")]
        content: Option<Value>,
        /// Not empty.
        #[serde(default)]
        subject: Option<String>,
        /// Who sent it.
        #[serde(default)]
        sender: Option<Uuid>,
    }

    /// `nk.notifications_update(updates)`: changes notifications, all of them or none.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct NotificationsUpdate {
        /// Those that are not there are no error.
        updates: Vec<UpdateRequest>,
    }

    impl HostFn for NotificationsUpdate {
        const NAME: &'static str = "notifications_update";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
            let mut changes = Vec::with_capacity(self.updates.len());
            for UpdateRequest { id, content, subject, sender } in self.updates {
                if subject.as_deref() == Some("") {
                    return Err(SUBJECT.into());
                }
                let content = match content {
                    Some(content) => Some(object_text(origin, &content).ok_or(CONTENT)?),
                    None => None,
                };
                changes.push((id, Changes { content, subject, sender }));
            }
            let done = update(cx, changes).await;
            done.map_err(|error| raised("failed to update notifications", error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_the_beginning_is_a_cursor() {
        let beginning = Place::default();
        assert_eq!(Place::decode(&beginning.encode()), Some(beginning));
    }
}
