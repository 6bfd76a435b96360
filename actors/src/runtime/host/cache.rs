//! The local cache: values that all interpreters of one language share, on this node only.

use std::time::{Duration, Instant};

use guildhall_core::Result;
use moka::{Expiry, sync::Cache};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{filled, invalid};
use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin, Returns},
};

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    lives: Option<Duration>,
}

struct ByEntry;

impl Expiry<String, Entry> for ByEntry {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: Instant) -> Option<Duration> {
        entry.lives
    }

    fn expire_after_update(
        &self,
        _: &String,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        entry.lives
    }
}

/// A cache for each language: those of Lua and JavaScript are separate, as in the reference.
#[derive(Debug)]
pub struct LocalCaches([Cache<String, Entry>; Language::ALL.len()]);

impl LocalCaches {
    /// Caches that hold at most `entries` values each; the least used go first.
    pub fn new(entries: u64) -> Self {
        let cache = || Cache::builder().max_capacity(entries).expire_after(ByEntry).build();
        Self(Language::ALL.map(|_| cache()))
    }

    fn of(&self, origin: Origin<'_>) -> &Cache<String, Entry> {
        match origin.language {
            Language::Native => &self.0[0],
            Language::Lua => &self.0[1],
            Language::JavaScript => &self.0[2],
        }
    }
}

/// `nk.localcache_get(key, default)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LocalcacheGet {
    key: String,
    #[serde(default)]
    default: Option<Value>,
}

impl HostFn for LocalcacheGet {
    const NAME: &'static str = "localcache_get";
    const RETURNS: Returns = Returns::Maybe;
    type Output = Option<Value>;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Option<Value>> {
        filled("key", self.key.as_bytes())?;
        Ok(cx.caches.of(origin).get(&self.key).map(|entry| entry.value).or(self.default))
    }
}

/// `nk.localcache_put(key, value, ttl_sec)`: for ever where `ttl_sec` is 0.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LocalcachePut {
    key: String,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    ttl_sec: i64,
}

impl HostFn for LocalcachePut {
    const NAME: &'static str = "localcache_put";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        filled("key", self.key.as_bytes())?;
        let lives = u64::try_from(self.ttl_sec).map_err(|_| invalid("ttl must be 0 or more"))?;
        if origin.language == Language::JavaScript {
            match &self.value {
                Value::Null => return Err(invalid("expects a non empty value").into()),
                Value::Array(_) | Value::Object(_) => {
                    let message = "unsupported value type: must be string, numeric or boolean";
                    return Err(invalid(message).into());
                }
                Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let lives = (lives > 0).then(|| Duration::from_secs(lives));
        cx.caches.of(origin).insert(self.key, Entry { value: self.value, lives });
        Ok(())
    }
}

/// `nk.localcache_delete(key)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LocalcacheDelete {
    key: String,
}

impl HostFn for LocalcacheDelete {
    const NAME: &'static str = "localcache_delete";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        filled("key", self.key.as_bytes())?;
        cx.caches.of(origin).invalidate(&self.key);
        Ok(())
    }
}

/// `nk.localcache_clear()`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LocalcacheClear {}

impl HostFn for LocalcacheClear {
    const NAME: &'static str = "localcache_clear";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        cx.caches.of(origin).invalidate_all();
        Ok(())
    }
}
