//! `guildhall check`: loads modules without a database and says what they register.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use serde::Serialize;

use super::{
    pool::{PoolSettings, ScriptPool},
    programs::Programs,
    script::LoadError,
    watchdog::Watchdog,
};
use crate::{
    cx::Cx,
    host::{Answer, Returns},
    registry::{self, Loaded, Registered},
};

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// All registrations, by precedence and in order, and what would become of them.
    pub registered: Vec<Registered>,
    /// The host functions that modules called while they were loaded and that need a database or
    /// the network: they were answered with nothing.
    pub unanswered: BTreeSet<&'static str>,
}

/// The host functions that were answered with nothing, shared by the seats of a check.
pub(super) type Unanswered = Arc<Mutex<BTreeSet<&'static str>>>;

/// What stands for the answer of a function that must not act: an empty list where one value is
/// due, so that loops over it end at once and its fields are absent.
pub(super) fn nothing(returns: Returns) -> Answer {
    #[derive(Serialize)]
    struct Fields {}
    match returns {
        Returns::Nothing => Box::new(()),
        Returns::Maybe => Box::new(None::<()>),
        Returns::Value => Box::new(Vec::<()>::new()),
        Returns::Each => Box::new(Fields {}),
    }
}

/// Loads all programs, native before Lua before JavaScript, each into one interpreter.
///
/// Host functions act where they answer at once. Those that would wait, for the network or a
/// thread, or that miss the database are answered with nothing. `cx` should be one
/// [without a database](Cx::without_database).
///
/// # Errors
/// A module that failed to load. If functions were answered with nothing before, it names them,
/// since that may be why.
pub async fn check(
    programs: Programs,
    cx: &Arc<Cx>,
    watchdog: &Watchdog,
) -> Result<Checked, LoadError> {
    let unanswered = Unanswered::default();
    let mut loaded = Vec::new();
    for program in [programs.native, programs.lua, programs.javascript].into_iter().flatten() {
        let settings = PoolSettings {
            min: 1,
            max: 1,
            check: Some(Arc::clone(&unanswered)),
            ..PoolSettings::of(program.language(), &cx.config.runtime)
        };
        match ScriptPool::start(program, Arc::clone(cx), settings, watchdog).await {
            Ok((pool, registrations)) => loaded.push(Loaded { registrations, pool }),
            Err(error) => return Err(with_hint(error, &unanswered.lock())),
        }
    }
    let unanswered = unanswered.lock().clone();
    Ok(Checked { registered: registry::preview(loaded), unanswered })
}

fn with_hint(mut error: LoadError, unanswered: &BTreeSet<&'static str>) -> LoadError {
    if !unanswered.is_empty() {
        let names: Vec<_> = unanswered.iter().copied().collect();
        error.message.push_str(&format!(
            " (in a check these functions are answered with nothing: {})",
            names.join(", ")
        ));
    }
    error
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use guildhall_core::config::Config;

    use super::*;
    use crate::runtime::{modules::scan, programs::programs};

    /// What a check of these files says, a line for each registration or the error.
    async fn checked(files: &[(&str, &str)]) -> Result<(Vec<String>, String), String> {
        let folder = std::env::temp_dir().join(format!("check-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let mut config = Config::default();
        config.runtime.path = folder.to_string_lossy().into_owned();
        let config = Arc::new(config);
        let io = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let cx = Cx::without_database(Arc::clone(&config), io.handle().clone()).unwrap();
        let programs = programs(scan(&folder, "").unwrap(), &config);
        let result = check(programs, &Arc::new(cx), &Watchdog::start().unwrap()).await;
        io.shutdown_background();
        std::fs::remove_dir_all(&folder).unwrap();
        let checked = result.map_err(|error| error.to_string())?;
        let rows = checked.registered.iter().map(ToString::to_string).collect();
        Ok((rows, checked.unanswered.into_iter().collect::<Vec<_>>().join(" ")))
    }

    #[tokio::test]
    async fn registrations_are_listed_though_modules_call_the_database() {
        let lua = r#"
            local nk = require("nakama")
            for _, object in ipairs(nk.storage_read({{collection = "c", key = "k"}})) do
                error("must not happen")
            end
            nk.json_decode(nk.json_encode({a = 1}))
            nk.register_rpc(function() return "x" end, "Echo")
        "#;
        let js = r#"
            function InitModule(ctx, logger, nk, initializer) {
                nk.sqlQuery("SELECT 1", []);
                initializer.registerRpc("jsEcho", function () { return "x"; });
            }
        "#;
        let (rows, unanswered) = checked(&[("a.lua", lua), ("index.js", js)]).await.unwrap();
        assert_eq!(rows, ["RPC echo (a.lua)", "RPC jsecho (index.js)"]);
        assert_eq!(unanswered, "sql_query storage_read");
    }

    #[tokio::test]
    async fn errors_name_file_and_line_and_what_was_not_answered() {
        let lua = "local nk = require('nakama')\nlocal rows = nk.sql_query('SELECT 1', {})\nprint(rows[1].x)";
        let error = checked(&[("b.lua", lua)]).await.unwrap_err();
        assert!(error.starts_with("b.lua:3: "), "{error}");
        assert!(
            error.ends_with("(in a check these functions are answered with nothing: sql_query)"),
            "{error}"
        );
        let error = checked(&[("c.lua", "local x =")]).await.unwrap_err();
        assert!(error.starts_with("c.lua:1: ") && !error.contains("answered"), "{error}");
    }
}
