//! Metrics of modules: counters, gauges and timers on the Prometheus page.

use std::{collections::BTreeMap, time::Duration};

use guildhall_core::{Code, Result, Status};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin, Returns},
};

const TAGS_REQUIRED: Status =
    Status::new(Code::InvalidArgument, "expects object with string keys and values");

/// Labels and their values.
type Tags = BTreeMap<String, String>;

/// The tags as pairs; only JavaScript must give them, as in the reference.
fn pairs<'a>(origin: Origin<'_>, tags: Option<&'a Tags>) -> Result<Vec<(&'a str, &'a str)>> {
    match tags {
        None if origin.language == Language::JavaScript => Err(TAGS_REQUIRED.into()),
        None => Ok(Vec::new()),
        Some(tags) => Ok(tags.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect()),
    }
}

/// `nk.metrics_counter_add(name, tags, delta)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MetricsCounterAdd {
    name: String,
    #[serde(default)]
    tags: Option<Tags>,
    delta: i64,
}

impl HostFn for MetricsCounterAdd {
    const NAME: &'static str = "metrics_counter_add";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        let tags = pairs(origin, self.tags.as_ref())?;
        cx.metrics.custom_counter_add(&self.name, &tags, self.delta);
        Ok(())
    }
}

/// `nk.metrics_gauge_set(name, tags, value)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MetricsGaugeSet {
    name: String,
    #[serde(default)]
    tags: Option<Tags>,
    value: f64,
}

impl HostFn for MetricsGaugeSet {
    const NAME: &'static str = "metrics_gauge_set";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        let tags = pairs(origin, self.tags.as_ref())?;
        cx.metrics.custom_gauge_set(&self.name, &tags, self.value);
        Ok(())
    }
}

/// `nk.metrics_timer_record(name, tags, value)`: a time in nanoseconds; a negative one is none.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MetricsTimerRecord {
    name: String,
    #[serde(default)]
    tags: Option<Tags>,
    value: i64,
}

impl HostFn for MetricsTimerRecord {
    const NAME: &'static str = "metrics_timer_record";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        let tags = pairs(origin, self.tags.as_ref())?;
        let elapsed = Duration::from_nanos(u64::try_from(self.value).unwrap_or_default());
        cx.metrics.custom_timer_record(&self.name, &tags, elapsed);
        Ok(())
    }
}
