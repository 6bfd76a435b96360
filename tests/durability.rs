//! What was acknowledged stays, whatever dies.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::support::{HTTP_KEY, Server, Setup, signal};

const MODULE: &str = r#"
    local nk = require("nakama")
    local user = "4c2ae592-b2a7-445e-98ec-697694478b1c"
    nk.register_rpc(function(ctx, payload)
      nk.storage_write({{collection = "kept", key = payload, user_id = nil, value = {n = 1}}})
      return payload
    end, "keep")
    nk.register_rpc(function(ctx, payload)
      return #nk.storage_read({{collection = "kept", key = payload, user_id = nil}}) == 1
        and "there" or "lost"
    end, "look")
"#;

/// Writes until `stop`, and gives back the keys that were acknowledged.
fn write_until(server: &Server, writer: usize, stop: &AtomicBool) -> Vec<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .into();
    let url = server.url(&format!("/v2/rpc/keep?unwrap&{HTTP_KEY}"));
    let mut kept = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{writer}-{n}");
        let answer = agent.post(&url).header("content-type", "text/plain").send(&key);
        let acknowledged = answer.is_ok_and(|mut answer| {
            answer.status() == 200 && answer.body_mut().read_to_string().is_ok_and(|t| t == key)
        });
        if acknowledged {
            kept.push(key);
        }
    }
    kept
}

/// Runs writers, does `harm` among them, and gives back what was acknowledged.
fn write_through(server: &Server, harm: impl FnOnce()) -> Vec<String> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let writers: Vec<_> =
            (0..4).map(|writer| scope.spawn(move || write_until(server, writer, stop))).collect();
        thread::sleep(Duration::from_millis(700));
        harm();
        thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

#[test]
fn acknowledged_writes_survive_kill_9_of_the_server() {
    let mut server = Setup::new().module("keep.lua", MODULE).start();
    let pid = server.pid();
    let kept = write_through(&server, || signal(pid, "KILL"));
    assert!(kept.len() > 20, "only {} writes were acknowledged", kept.len());
    server.kill();
    server.start_again();
    for key in kept {
        assert_eq!(server.rpc("look", &key).ok(), json!("there"), "{key}");
    }
}

#[test]
fn the_embedded_database_comes_back_by_itself() {
    let server = Setup::new().module("keep.lua", MODULE).start();
    let database = postmaster(&server);
    let kept = write_through(&server, || signal(database, "KILL"));
    let began = std::time::Instant::now();
    while server.rpc("keep", "afterwards").status != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", server.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert_ne!(postmaster(&server), database);
    for key in kept {
        assert_eq!(server.rpc("look", &key).ok(), json!("there"), "{key}");
    }
}

/// The pid of the database server, from its own file.
fn postmaster(server: &Server) -> u32 {
    fn find(folder: &std::path::Path) -> Option<u32> {
        let pid = std::fs::read_to_string(folder.join("postmaster.pid"))
            .ok()
            .and_then(|text| text.lines().next()?.trim().parse().ok());
        pid.or_else(|| {
            std::fs::read_dir(folder)
                .ok()?
                .flatten()
                .find_map(|entry| entry.file_type().ok()?.is_dir().then(|| find(&entry.path()))?)
        })
    }
    find(&server.folder().join("data")).expect("no postmaster.pid")
}
