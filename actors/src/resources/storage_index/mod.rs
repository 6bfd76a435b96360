//! Storage indexes: objects of a collection in memory, searched by queries over their fields.
//!
//! Modules declare them while they load; [`StorageIndexes::load`] fills them from the database. An
//! index is owned by a thread of its own, so that a search over many objects delays no request that
//! does not wait for it. What is written to an indexed collection is taken up before the write is
//! answered: the next search sees it.
//!
//! What an index holds is read back from the database after each write. Where writes of one object
//! overlap, the last of them to end reads once more, so that the index ends up with what the
//! database ended up with.

pub mod nk;
mod owner;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use guildhall_core::{Code, Cursor as _, Fault, OrFault, Result, Status, json};
use guildhall_proto::{Timestamp, api::StorageObject};
use md5::{Digest, Md5};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio_postgres::Row;
use uuid::Uuid;

use self::owner::{Change, Owner, Search, Stored};
use super::storage::{self, Access, Place};
use crate::{
    cx::Cx,
    database::{Database, DbError},
    host::Language,
    query::{Fields, Query, Sort, SortKey},
    registry::Published,
    runtime::call::{Argument, ExecutionMode},
};

const INVALID_CURSOR: Status = Status::new(Code::InvalidArgument, "invalid cursor");
const QUERY_MISMATCH: Status = Status::new(Code::InvalidArgument, "invalid cursor: query mismatch");
const LIMIT_MISMATCH: Status = Status::new(Code::InvalidArgument, "invalid cursor: limit mismatch");
const ORDER_MISMATCH: Status = Status::new(Code::InvalidArgument, "invalid cursor: order mismatch");

const LOADING: &str = "Could not load a storage index.";
const READING: &str = "Error reading storage objects.";

/// Objects that are read at once while an index is loaded.
const PAGE: i64 = 1000;

/// Calls of a filter that are on their way at once.
const FILTERS: usize = 8;

/// What an index holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The collection that it is made of.
    pub collection: String,
    /// The key of the objects that it takes; all if empty.
    #[serde(default)]
    pub key: String,
    /// The fields at the top of values that it takes.
    pub fields: Vec<String>,
    /// Those by which results can be ordered.
    #[serde(default)]
    pub sortable_fields: Vec<String>,
    /// Most objects; beyond it, by a tenth, those that were not changed for longest are dropped.
    pub max_entries: i64,
    /// Whether results are the indexed fields as they are in memory, and the database is not asked.
    #[serde(default)]
    pub index_only: bool,
}

impl Definition {
    /// The definition that a module gave.
    ///
    /// # Errors
    /// `InvalidArgument`, in the reference's words.
    fn read(name: &str, json: &Value) -> Result<Self, Status> {
        let wrong = |what: &str| {
            Status::of(
                Code::InvalidArgument,
                format!("failed to create storage index {name:?}: {what}"),
            )
        };
        let mut given: Map<String, Value> = match json {
            // What a module leaves out as `null` has its default.
            Value::Object(json) => {
                let given = json.iter().filter(|(_, value)| !value.is_null());
                given.map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            _ => Map::new(),
        };
        given.insert("name".to_owned(), name.into());
        let definition: Self = serde_json::from_value(Value::Object(given))
            .map_err(|error| wrong(&error.to_string()))?;
        if definition.name.is_empty() {
            return Err(wrong("storage index 'name' must be set"));
        }
        if definition.collection.is_empty() {
            return Err(wrong("storage index 'collection' must be set"));
        }
        if definition.max_entries < 1 {
            return Err(wrong("storage Index 'max_entries' must be > 0"));
        }
        if definition.fields.is_empty() {
            return Err(wrong(
                "storage Index 'fields' must contain at least one top level key to index",
            ));
        }
        Ok(definition)
    }

    fn takes(&self, place: &Place) -> bool {
        self.collection == place.collection && (self.key.is_empty() || self.key == place.key)
    }

    /// Whether results can be ordered by this field.
    fn sorts_by(&self, field: &str) -> bool {
        match field.strip_prefix("value.") {
            Some(field) => self.sortable_fields.iter().any(|name| name == field),
            None => matches!(field, "create_time" | "update_time"),
        }
    }

    fn max_entries(&self) -> usize {
        usize::try_from(self.max_entries).unwrap_or(usize::MAX)
    }
}

/// All indexes. A cheap handle.
#[derive(Clone)]
pub struct StorageIndexes(Arc<Inner>);

struct Inner {
    db: Database,
    io: Handle,
    routes: Published,
    /// Read objects from the database even where an index holds them.
    disable_index_only: bool,
    known: ArcSwap<Known>,
    writing: Mutex<HashMap<Place, Writing>>,
}

/// The indexes there are.
#[derive(Default)]
struct Known {
    by_name: HashMap<String, Arc<Definition>>,
    by_collection: HashMap<String, Vec<Arc<Definition>>>,
    owner: Option<Owner>,
}

/// An object of an indexed collection that is being written.
struct Writing {
    writers: usize,
    /// Whether writes have overlapped: what one of them read may be out of date.
    overlapped: bool,
}

impl fmt::Debug for StorageIndexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageIndexes")
            .field("names", &self.0.known.load().by_name.keys())
            .finish_non_exhaustive()
    }
}

impl StorageIndexes {
    /// No indexes yet.
    pub fn new(db: Database, io: Handle, routes: Published, disable_index_only: bool) -> Self {
        let known = ArcSwap::default();
        let writing = Mutex::default();
        Self(Arc::new(Inner { db, io, routes, disable_index_only, known, writing }))
    }

    /// Makes the indexes that modules declared, and fills them from the database.
    ///
    /// # Errors
    /// A definition that cannot be; a fault of the database.
    pub async fn load(&self) -> Result<()> {
        let routes = self.0.routes.load_full();
        let indexes = routes.storage_indexes().iter();
        let indexes = indexes.map(|(name, json)| Definition::read(name, json));
        self.declare(indexes.collect::<Result<_, _>>()?).await
    }

    /// Makes these indexes, and fills them from the database.
    ///
    /// # Errors
    /// A fault of the database.
    pub async fn declare(&self, definitions: Vec<Definition>) -> Result<()> {
        if definitions.is_empty() {
            return Ok(());
        }
        let definitions: Vec<_> = definitions.into_iter().map(Arc::new).collect();
        let owner = Owner::start(&definitions).or_fault(LOADING)?;
        let mut known = Known { owner: Some(owner), ..Known::default() };
        for definition in &definitions {
            known.by_name.insert(definition.name.clone(), Arc::clone(definition));
            let of_collection = known.by_collection.entry(definition.collection.clone());
            of_collection.or_default().push(Arc::clone(definition));
        }
        self.0.known.store(Arc::new(known));
        for definition in &definitions {
            let objects = self.0.fill(definition).await?;
            tracing::info!(index = definition.name, objects, "storage index loaded");
        }
        Ok(())
    }

    /// To be called before objects are written or deleted; `None` where no index takes any of them.
    pub fn begin<'a>(&self, places: impl IntoIterator<Item = &'a Place>) -> Option<Indexing> {
        let known = self.0.known.load();
        if known.by_collection.is_empty() {
            return None;
        }
        let taken = |place: &&Place| {
            let indexes = known.by_collection.get(&place.collection);
            indexes.is_some_and(|indexes| indexes.iter().any(|index| index.takes(place)))
        };
        let places: BTreeSet<&Place> = places.into_iter().filter(taken).collect();
        if places.is_empty() {
            return None;
        }
        let places: Vec<Place> = places.into_iter().cloned().collect();
        let mut writing = self.0.writing.lock();
        for place in &places {
            let writing =
                writing.entry(place.clone()).or_insert(Writing { writers: 0, overlapped: false });
            writing.overlapped |= writing.writers > 0;
            writing.writers += 1;
        }
        Some(Indexing { inner: Arc::clone(&self.0), places })
    }

    /// Takes everything of a user out of all indexes, after the account was deleted.
    pub async fn forget(&self, owner: Uuid) {
        let known = self.0.known.load_full();
        if let Some(indexes) = &known.owner {
            indexes.forget(owner).await;
        }
    }
}

/// A write to indexed collections that is under way. However it ends, the indexes are brought up to
/// date: by [`finish`](Self::finish), which waits for it, or in the background.
pub struct Indexing {
    inner: Arc<Inner>,
    places: Vec<Place>,
}

impl fmt::Debug for Indexing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexing").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Indexing {
    /// Brings the indexes up to date, after the write was committed.
    pub async fn finish(mut self) {
        let places = std::mem::take(&mut self.places);
        let inner = Arc::clone(&self.inner);
        // A task of its own, since whoever waits may leave.
        if let Err(error) = self.inner.io.spawn(inner.settle(places)).await {
            tracing::error!(%error, "storage index not brought up to date");
        }
    }
}

impl Drop for Indexing {
    fn drop(&mut self) {
        let places = std::mem::take(&mut self.places);
        if !places.is_empty() {
            drop(self.inner.io.spawn(Arc::clone(&self.inner).settle(places)));
        }
    }
}

impl Inner {
    /// Reads these objects and brings the indexes up to date, as often as writes overlapped.
    async fn settle(self: Arc<Self>, mut places: Vec<Place>) {
        while !places.is_empty() {
            if let Err(error) = self.take_up(&places).await {
                tracing::error!(%error, "storage index not brought up to date");
            }
            places = self.ended(places);
        }
    }

    /// Ends the writes of these objects; gives back those that are to be read once more.
    fn ended(&self, mut places: Vec<Place>) -> Vec<Place> {
        let mut writing = self.writing.lock();
        places.retain(|place| {
            let Some(state) = writing.get_mut(place) else { return false };
            if state.writers > 1 {
                state.writers -= 1;
                return false;
            }
            if !state.overlapped {
                writing.remove(place);
                return false;
            }
            state.overlapped = false;
            true
        });
        places
    }

    /// Puts what the database has at these places into the indexes.
    async fn take_up(&self, places: &[Place]) -> Result<()> {
        let known = self.known.load_full();
        let Some(owner) = &known.owner else { return Ok(()) };
        let rows = storage::rows(&self.db, places).await.or_fault(READING)?;
        let mut there = HashMap::with_capacity(rows.len());
        for row in &rows {
            let entry = Entry::read(row).or_fault(READING)?;
            there.insert(entry.place()?, entry);
        }
        let mut changes = Vec::new();
        for place in places {
            let indexes = known.by_collection.get(&place.collection).into_iter().flatten();
            for index in indexes.filter(|index| index.takes(place)) {
                let change = match there.get(place) {
                    Some(entry) => self.change(index, place, entry).await,
                    None => Some(Change::removal(index, place)),
                };
                changes.extend(change);
            }
        }
        owner.apply(changes).await
    }

    /// What an object does to an index; `None` if its filter failed, which leaves the index as it is.
    async fn change(
        &self,
        index: &Arc<Definition>,
        place: &Place,
        entry: &Entry,
    ) -> Option<Change> {
        let routes = self.routes.load_full();
        if let Some(filter) = routes.storage_index_filter(&index.name) {
            let argument = entry.shown(filter.language);
            let mode = ExecutionMode::StorageIndexFilter;
            match filter.invoke(mode, vec![Argument::of(argument)]).await {
                Ok(Some(Value::Bool(true))) => {}
                Ok(Some(Value::Bool(false))) => return Some(Change::removal(index, place)),
                Ok(_) => {
                    tracing::error!(index = index.name, "storage index filter gave no boolean");
                    return None;
                }
                Err(error) => {
                    tracing::error!(index = index.name, %error, "storage index filter failed");
                    return None;
                }
            }
        }
        Some(entry.indexed(index, place, !self.disable_index_only))
    }

    /// Fills an index from the database: how many objects it holds then.
    async fn fill(&self, index: &Arc<Definition>) -> Result<usize> {
        let known = self.known.load_full();
        let Some(owner) = &known.owner else { return Ok(0) };
        let (mut after, mut objects) = ((String::new(), Uuid::nil()), 0);
        loop {
            let key = Some(index.key.as_str()).filter(|key| !key.is_empty());
            let rows = storage::rows_after(&self.db, &index.collection, key, &after, PAGE);
            let rows = rows.await.or_fault(LOADING)?;
            let entries = rows.iter().map(Entry::read).collect::<Result<Vec<_>, _>>();
            let entries = entries.or_fault(LOADING)?;
            let Some(last) = entries.last() else { return Ok(objects) };
            let place = last.place()?;
            after = (place.key, place.owner);
            let changes = stream::iter(&entries)
                .map(async |entry| {
                    let change = self.change(index, &entry.place()?, entry).await;
                    Ok::<_, guildhall_core::Error>(change)
                })
                .buffered(FILTERS)
                .try_collect::<Vec<_>>();
            let changes = changes.await?.into_iter().flatten().filter(Change::is_entry);
            let changes: Vec<_> = changes.take(index.max_entries() - objects).collect();
            objects += changes.len();
            owner.apply(changes).await?;
            if objects >= index.max_entries() {
                return Ok(objects);
            }
        }
    }
}

/// An object of the database.
struct Entry {
    object: StorageObject,
    create_time: DateTime<Utc>,
    update_time: DateTime<Utc>,
}

impl Entry {
    fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            object: storage::object(row)?,
            create_time: row.try_get("create_time")?,
            update_time: row.try_get("update_time")?,
        })
    }

    fn place(&self) -> Result<Place> {
        Ok(Place {
            collection: self.object.collection.clone(),
            key: self.object.key.clone(),
            owner: self.object.user_id.parse().or_fault(READING)?,
        })
    }

    /// The object as a filter sees it: native modules get the value as text.
    fn shown(&self, language: Language) -> Value {
        let object = &self.object;
        let value = match language {
            Language::Native => Value::String(object.value.clone()),
            Language::Lua | Language::JavaScript => {
                serde_json::from_str(&object.value).unwrap_or_default()
            }
        };
        json!({
            "collection": object.collection,
            "key": object.key,
            "user_id": object.user_id,
            "value": value,
            "version": object.version,
            "permission_read": object.permission_read,
            "permission_write": object.permission_write,
        })
    }

    /// The object in an index, or its removal if it has none of the fields.
    fn indexed(&self, index: &Arc<Definition>, place: &Place, index_only: bool) -> Change {
        let object = &self.object;
        let value: Map<String, Value> = serde_json::from_str(&object.value).unwrap_or_default();
        let takes = |name: &String| index.fields.contains(name);
        let value: Map<_, _> = value.into_iter().filter(|(name, _)| takes(name)).collect();
        if value.is_empty() {
            return Change::removal(index, place);
        }
        let value = Value::Object(value);
        let mut fields = Fields::default();
        let id = format!("{}.{}.{}", object.collection, object.key, object.user_id);
        fields.text("_id", id);
        for (name, time) in [("create_time", self.create_time), ("update_time", self.update_time)] {
            fields.time_ns(name, time.timestamp_nanos_opt().unwrap_or_default());
        }
        fields.text("collection", object.collection.clone());
        fields.text("key", object.key.clone());
        fields.text("user_id", object.user_id.clone());
        fields.text("version", object.version.clone());
        fields.number("read", f64::from(object.permission_read));
        fields.number("write", f64::from(object.permission_write));
        fields.json("value", &value);
        let stored = Stored {
            version: object.version.clone(),
            read: object.permission_read,
            write: object.permission_write,
            create_time_s: self.create_time.timestamp(),
            update_time_s: self.update_time.timestamp(),
            value: (index.index_only && index_only).then(|| json::to_text(&value).ok()).flatten(),
        };
        Change::entry(index, place, fields, stored)
    }
}

/// The last object of a page.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    /// Marks of what is listed and how.
    query: String,
    order: String,
    limit: usize,
    /// What it is sorted by, in hexadecimal digits.
    parts: Vec<String>,
    number: u64,
}

impl guildhall_core::Cursor for Position {
    const LIST: &'static str = "storage_index";
}

/// A short mark of texts.
fn mark<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Md5::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hex::encode(&hash.finalize()[..8])
}

/// A page of the objects that an index finds.
#[derive(Debug)]
pub struct Page {
    /// The objects, in order.
    pub objects: Vec<StorageObject>,
    /// Where the next page begins, if there is one.
    pub cursor: Option<String>,
}

/// Up to `limit` objects of an index that match `query` and that `access` may read, in an order:
/// names of fields, with `-` before them for the highest first. Without an order the best are first.
///
/// A page may have fewer objects where some may not be read.
///
/// # Errors
/// `NotFound` for an unknown index; `InvalidArgument` for what is no query, and for a cursor of
/// another list; a fault of the database.
pub async fn list(
    cx: &Cx,
    access: Access,
    index: &str,
    query: &str,
    limit: usize,
    order: &[String],
    cursor: &str,
) -> Result<Page> {
    let inner = &cx.storage_index.0;
    let known = inner.known.load_full();
    let (Some(definition), Some(owner)) = (known.by_name.get(index), &known.owner) else {
        return Err(Status::of(Code::NotFound, format!("index {index:?} not found")).into());
    };
    let query = if query.is_empty() { "*" } else { query };
    let marks = (mark([index, query]), mark(order.iter().map(String::as_str)));
    let after = match cursor {
        "" => None,
        cursor => Some(place_of(cursor, &marks, limit)?),
    };
    let query = Query::parse(query)
        .map_err(|error| Status::of(Code::InvalidArgument, error.to_string()))?;
    let order = order.iter().map(|text| Sort::parse(text)).collect();
    let search = Search {
        index: Arc::clone(definition),
        query,
        order,
        after,
        limit: limit.saturating_add(1),
    };
    let mut found = owner.search(search).await?;

    let more = found.len() > limit;
    found.truncate(limit);
    let cursor = found.last().filter(|_| more).map(|(_, _, SortKey { parts, number })| {
        let parts = parts.iter().map(hex::encode).collect();
        let (query, order) = marks;
        Position { query, order, limit, parts, number: *number }.encode()
    });
    if definition.index_only && !inner.disable_index_only {
        let objects =
            found.into_iter().filter_map(|(place, stored, _)| shown(access, place, stored));
        return Ok(Page { objects: objects.collect(), cursor });
    }

    let places: Vec<Place> = found.iter().map(|(place, _, _)| place.clone()).collect();
    let objects = storage::read(cx, access, &places).await?;
    let mut versions: HashMap<(&str, &str), &str> = HashMap::with_capacity(objects.len());
    for object in &objects {
        versions.insert((&object.key, &object.user_id), &object.version);
    }
    // Objects may have been changed by statements of modules, past the index.
    let stale = found.iter().filter(|(place, stored, _)| {
        match versions.get(&(place.key.as_str(), place.owner.to_string().as_str())) {
            Some(version) => *version != stored.version,
            None => access == Access::Server,
        }
    });
    if let Some(indexing) = cx.storage_index.begin(stale.map(|(place, _, _)| place)) {
        indexing.finish().await;
    }
    Ok(Page { objects, cursor })
}

/// The place that a cursor of this list stands for.
fn place_of(cursor: &str, marks: &(String, String), limit: usize) -> Result<SortKey, Status> {
    let position = Position::decode(cursor).ok_or(INVALID_CURSOR)?;
    if position.query != marks.0 {
        return Err(QUERY_MISMATCH);
    }
    if position.limit != limit {
        return Err(LIMIT_MISMATCH);
    }
    if position.order != marks.1 {
        return Err(ORDER_MISMATCH);
    }
    let parts = position.parts.iter().map(hex::decode).collect::<Result<_, _>>();
    Ok(SortKey { parts: parts.map_err(|_| INVALID_CURSOR)?, number: position.number })
}

/// What an index holds of an object, if it may be read.
fn shown(access: Access, place: Place, stored: Stored) -> Option<StorageObject> {
    let readable = match access {
        Access::Server => true,
        Access::User(user) => stored.read == 2 || (stored.read == 1 && user == place.owner),
    };
    readable.then(|| StorageObject {
        collection: place.collection,
        key: place.key,
        user_id: place.owner.to_string(),
        value: stored.value.unwrap_or_default(),
        version: stored.version,
        permission_read: stored.read,
        permission_write: stored.write,
        create_time: Some(Timestamp::from_seconds(stored.create_time_s)),
        update_time: Some(Timestamp::from_seconds(stored.update_time_s)),
    })
}

/// The thread that owns the indexes is gone.
fn gone(error: impl std::error::Error + Send + Sync + 'static) -> guildhall_core::Error {
    Fault::new("Error searching storage objects.", error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_checked_in_the_references_order() {
        let named = |name, json: &Value| Definition::read(name, json).map_err(|it| it.message);
        let read = |json: Value| named("i", &json);
        let good = json!({
            "collection": "c", "key": "", "fields": ["a"], "sortable_fields": [],
            "max_entries": 1, "index_only": false,
        });
        assert!(read(good.clone()).is_ok());
        assert!(named("", &good).is_err_and(|text| text.contains("'name' must be set")));
        let mut sparse = good.clone();
        sparse["key"] = Value::Null;
        sparse["sortable_fields"] = Value::Null;
        assert_eq!(read(sparse), read(good.clone()));
        for (field, value, wanted) in [
            ("collection", json!(""), "'collection' must be set"),
            ("max_entries", json!(0), "'max_entries' must be > 0"),
            ("fields", json!([]), "at least one top level key"),
        ] {
            let mut json = good.clone();
            json[field] = value;
            assert!(read(json).is_err_and(|text| text.contains(wanted)), "{field}");
        }
    }

    #[test]
    fn marks_tell_lists_apart() {
        assert_eq!(mark(["a", "b"]), mark(["a", "b"]));
        assert_ne!(mark(["a", "b"]), mark(["ab"]));
        assert_ne!(mark(["ab", ""]), mark(["a", "b"]));
    }
}
