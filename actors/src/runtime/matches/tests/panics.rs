//! The server's own panics in what a handler calls.

use serde_json::json;

use super::{super::running::PANICKED, *};

const LUA: &str =
    "function M.match_loop(ctx, d, tick, state) d.broadcast_message(1) return state end";
const JAVASCRIPT: &str = "handler.matchLoop = (ctx, logger, nk, d, tick, state) => { d.broadcastMessage(1); return { state }; };";

#[test]
fn a_panic_in_a_function_of_the_server_ends_the_match_that_called_it_and_no_other() {
    let lua = lua::handler(LUA);
    let javascript = javascript::js(JAVASCRIPT);
    let bench = bench(&[("lua.lua", &lua), ("index.js", &javascript)]);
    let ours = "the server failed in a function that this module called";
    let native = "the server's function failed unexpectedly";
    for (name, said) in [("lua", ours), ("m", PANICKED), ("native", native)] {
        bench.run(move |maker| async move {
            let [mut broken, mut steady] = [
                maker.make(name, json!({})).await.unwrap(),
                maker.make(name, json!({})).await.unwrap(),
            ];
            for tick in 0..2 {
                assert_eq!(broken.tick(tick, vec![]).await.unwrap(), Turn::Continue, "{name}");
            }
            broken.seen.panics.store(true, Ordering::Relaxed);
            let error = broken.tick(2, vec![]).await.unwrap_err();
            assert!(error.message().contains(said), "{name}: {error}");
            // It is not called again, and the others on its thread go on, also new ones.
            assert_eq!(
                broken.tick(3, vec![]).await.unwrap_err().message(),
                "match stopped",
                "{name}"
            );
            assert_eq!(steady.tick(0, vec![]).await.unwrap(), Turn::Continue, "{name}");
            drop(broken);
            let mut next = maker.make(name, json!({})).await.unwrap();
            for made in [&mut steady, &mut next] {
                assert_eq!(made.tick(1, vec![]).await.unwrap(), Turn::Continue, "{name}");
            }
        });
    }
}
