//! The thread that owns all storage indexes, and what it is asked.

use std::{
    collections::HashMap,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use guildhall_core::{Fault, Result};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{Definition, gone};
use crate::{
    query::{Fields, Index, Query, Sort, SortKey},
    resources::storage::Place,
};

/// What waits to be done, at most; who asks beyond that waits for a place.
const MAILBOX: usize = 1024;

/// What an index keeps of an object beside its fields.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) version: String,
    pub(super) read: i32,
    pub(super) write: i32,
    pub(super) create_time_s: i64,
    pub(super) update_time_s: i64,
    /// The indexed fields as JSON text, for an index that answers from memory.
    pub(super) value: Option<String>,
}

/// What a write does to an index.
pub(super) struct Change {
    index: Arc<Definition>,
    place: Place,
    entry: Option<(Fields, Stored)>,
}

impl Change {
    /// An object is put in.
    pub(super) fn entry(
        index: &Arc<Definition>,
        place: &Place,
        fields: Fields,
        stored: Stored,
    ) -> Self {
        Self { index: Arc::clone(index), place: place.clone(), entry: Some((fields, stored)) }
    }

    /// An object is taken out, if it is there.
    pub(super) fn removal(index: &Arc<Definition>, place: &Place) -> Self {
        Self { index: Arc::clone(index), place: place.clone(), entry: None }
    }

    /// Whether an object is put in.
    pub(super) fn is_entry(&self) -> bool {
        self.entry.is_some()
    }
}

/// A search.
pub(super) struct Search {
    pub(super) index: Arc<Definition>,
    pub(super) query: Query,
    pub(super) order: Vec<Sort>,
    pub(super) after: Option<SortKey>,
    pub(super) limit: usize,
}

type Hits = Vec<(Place, Stored, SortKey)>;

type Job = Box<dyn FnOnce(&mut Indexes) + Send>;

type Indexes = HashMap<String, Index<Place, Stored>>;

/// A handle on the thread, which ends with the last handle.
pub(super) struct Owner(mpsc::Sender<Job>);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}

impl Owner {
    /// Starts the thread with empty indexes.
    pub(super) fn start(definitions: &[Arc<Definition>]) -> io::Result<Self> {
        let (sender, mut jobs) = mpsc::channel::<Job>(MAILBOX);
        let names = definitions.iter().map(|definition| definition.name.clone());
        let mut indexes: Indexes = names.map(|name| (name, Index::default())).collect();
        thread::Builder::new().name("storage-index".to_owned()).spawn(move || {
            while let Some(job) = jobs.blocking_recv() {
                // A fault of one job is that job's: who waits for it finds no answer.
                if catch_unwind(AssertUnwindSafe(|| job(&mut indexes))).is_err() {
                    tracing::error!("a job of the storage indexes panicked");
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Makes changes, in order.
    ///
    /// # Errors
    /// A fault of the thread.
    pub(super) async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.run(move |indexes| {
            let touched: Vec<_> = changes.iter().map(|change| Arc::clone(&change.index)).collect();
            for Change { index, place, entry } in changes {
                let Some(documents) = indexes.get_mut(&index.name) else { continue };
                match entry {
                    None => drop(documents.remove(&place)),
                    Some((fields, stored)) => {
                        documents.put(place, stored, fields, |field| index.sorts_by(field));
                    }
                }
            }
            for index in touched {
                if let Some(documents) = indexes.get_mut(&index.name) {
                    evict(documents, index.max_entries());
                }
            }
        })
        .await
    }

    /// What is found.
    ///
    /// # Errors
    /// A fault of the thread.
    pub(super) async fn search(&self, search: Search) -> Result<Hits> {
        self.run(move |indexes| {
            let Search { index, query, order, after, limit } = search;
            let Some(documents) = indexes.get(&index.name) else { return Vec::new() };
            let found = documents.search(&query, &order, after.as_ref(), limit);
            found.into_iter().map(|it| (it.key.clone(), it.data.clone(), it.place)).collect()
        })
        .await
    }

    /// Takes all objects of a user out of all indexes.
    pub(super) async fn forget(&self, owner: Uuid) {
        let owner = owner.to_string();
        let done = self.run(move |indexes| {
            for documents in indexes.values_mut() {
                for place in documents.with_text("user_id", &owner) {
                    documents.remove(&place);
                }
            }
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "storage index keeps objects of a deleted account");
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Indexes) -> T + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |indexes| {
            // Who has stopped waiting is not told.
            let _ = reply.send(work(indexes));
        });
        if self.0.send(job).await.is_err() {
            return Err(Fault::new("Error searching storage objects.", "no index").into());
        }
        answer.await.map_err(gone)
    }
}

/// Takes the objects out that were not changed for longest, once there are a tenth too many.
fn evict(documents: &mut Index<Place, Stored>, max_entries: usize) {
    let most = max_entries.saturating_add(max_entries / 10);
    if documents.len() <= most {
        return;
    }
    let surplus = documents.len() - max_entries;
    for place in documents.least("update_time", surplus) {
        documents.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn definition(max_entries: i64) -> Arc<Definition> {
        Arc::new(Definition {
            name: "i".into(),
            collection: "c".into(),
            key: String::new(),
            fields: vec!["n".into()],
            sortable_fields: Vec::new(),
            max_entries,
            index_only: true,
        })
    }

    fn entry(index: &Arc<Definition>, key: u32, owner: Uuid) -> Change {
        let place = Place { collection: "c".into(), key: key.to_string(), owner };
        let mut fields = Fields::default();
        fields.time_ns("update_time", i64::from(key));
        fields.text("user_id", owner.to_string());
        let stored = Stored {
            version: String::new(),
            read: 2,
            write: 1,
            create_time_s: 0,
            update_time_s: 0,
            value: None,
        };
        Change::entry(index, &place, fields, stored)
    }

    async fn keys(owner: &Owner, index: &Arc<Definition>) -> Vec<String> {
        let search = Search {
            index: Arc::clone(index),
            query: Query::All,
            order: vec![Sort::parse("-update_time")],
            after: None,
            limit: 100,
        };
        owner.search(search).await.unwrap().into_iter().map(|(place, _, _)| place.key).collect()
    }

    #[tokio::test]
    async fn a_tenth_too_many_and_the_oldest_go() {
        let index = definition(10);
        let owner = Owner::start(std::slice::from_ref(&index)).unwrap();
        for key in 0..11 {
            owner.apply(vec![entry(&index, key, Uuid::nil())]).await.unwrap();
        }
        assert_eq!(keys(&owner, &index).await.len(), 11);
        owner.apply(vec![entry(&index, 11, Uuid::nil())]).await.unwrap();
        let kept: Vec<String> = (2..12).rev().map(|key| key.to_string()).collect();
        assert_eq!(keys(&owner, &index).await, kept);
    }

    #[tokio::test]
    async fn a_deleted_account_leaves_nothing() {
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let index = definition(10);
        let owner = Owner::start(std::slice::from_ref(&index)).unwrap();
        let entries = vec![entry(&index, 1, ann), entry(&index, 2, bob), entry(&index, 3, ann)];
        owner.apply(entries).await.unwrap();
        owner.forget(ann).await;
        assert_eq!(keys(&owner, &index).await, ["2"]);
    }

    #[tokio::test]
    async fn a_job_that_panics_ends_alone() {
        let index = definition(10);
        let owner = Owner::start(std::slice::from_ref(&index)).unwrap();
        let failed: Result<()> = owner.run(|_| panic!("a fault of a job")).await;
        assert!(failed.is_err());
        owner.apply(vec![entry(&index, 1, Uuid::nil())]).await.unwrap();
        assert_eq!(keys(&owner, &index).await, ["1"]);
    }
}
