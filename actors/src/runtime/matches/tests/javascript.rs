//! Match handlers in JavaScript.

use std::time::Duration;

use guildhall_core::Code;
use serde_json::{Value, json};

use super::*;

/// A JavaScript handler whose functions are `changes`, the others do nothing.
pub(super) fn js(changes: &str) -> String {
    format!(
        "function matchInit(ctx, logger, nk, params) {{ return {{ state: {{ n: 0 }}, tickRate: 10, label: 'label' }}; }}
const nothing = (ctx, logger, nk, d, tick, state) => ({{ state }});
let handler = {{
    matchInit,
    matchJoinAttempt: (ctx, logger, nk, d, tick, state, presence, metadata) => ({{ state, accept: true }}),
    matchJoin: nothing, matchLeave: nothing, matchLoop: nothing, matchTerminate: nothing,
    matchSignal: (ctx, logger, nk, d, tick, state, data) => ({{ state, data }}),
}};
{changes}
function InitModule(ctx, logger, nk, initializer) {{
    initializer.registerMatch('m', handler);
}}"
    )
}

fn javascript(changes: &str) -> Bench {
    bench(&[("index.js", &js(changes))])
}

#[test]
fn a_javascript_handler_plays_from_init_to_end() {
    let bench = javascript(
        "const keys = (o) => Object.keys(o).sort().join(' ');
        handler.matchInit = function (ctx, logger, nk, params) {
            return { state: { said: keys(ctx) + '/' + params.greeting }, tickRate: 7, label: 'first' };
        };
        handler.matchJoinAttempt = function (ctx, logger, nk, d, tick, state, presence, metadata) {
            if (metadata.no) return { state, accept: false, rejectMessage: metadata.no };
            state.said = keys(ctx) + '/' + keys(presence) + '/' + ctx.vars.v + ctx.userSessionExp;
            return { state, accept: true };
        };
        handler.matchJoin = function (ctx, logger, nk, d, tick, state, presences) {
            state.said = keys(presences[0]) + presences[0].reason + presences.length;
            return { state };
        };
        handler.matchLoop = function (ctx, logger, nk, d, tick, state, messages) {
            for (const m of messages) {
                state.said = keys(m) + '/' + keys(m.sender) + '/' + m.opCode + (m.data && nk.binaryToString(m.data)) + m.reliable + m.receiveTimeMs;
            }
            if (tick === 3) return null;
            return { state };
        };
        handler.matchTerminate = function (ctx, logger, nk, d, tick, state, grace) { d.broadcastMessage(9, 'grace ' + grace); return { state }; };
        handler.matchSignal = function (ctx, logger, nk, d, tick, state, data) {
            if (data === 'ctx') return { state, data: keys(ctx) + '/' + JSON.stringify(ctx.executionMode) + typeof ctx.executionMode + Object.keys(ctx.executionMode) + ctx.matchId + ctx.matchLabel + ctx.matchTickRate };
            if (data === 'none') return { state };
            return { state, data: state.said };
        };",
    );
    bench.run(|maker| async move {
        let mut it = maker.make("m", json!({ "greeting": "hello" })).await.unwrap();
        assert_eq!(it.init, MatchInit { tick_rate_hz: 7, label: "first".to_owned() });
        let ask = |data: &str| data.to_owned();
        assert_eq!(
            it.signal(0, ask("said")).await.unwrap().as_deref(),
            Some("env executionMode matchId matchNode node version/hello")
        );
        let refused = it.join_attempt(0, attempt(&[("no", "not you")])).await.unwrap();
        assert_eq!(refused, Some(JoinAnswer { allow: false, reason: "not you".to_owned() }));
        let allowed = it.join_attempt(0, attempt(&[])).await.unwrap();
        assert_eq!(allowed, Some(JoinAnswer { allow: true, reason: String::new() }));
        assert_eq!(
            it.signal(0, ask("said")).await.unwrap().as_deref(),
            Some(
                "clientIp clientPort env executionMode matchId matchLabel matchNode matchTickRate \
                 node sessionId userId userSessionExp username vars version/\
                 node sessionId userId username/w99"
            )
        );
        let joined = vec![presence("ann", 0), presence("bob", 0)];
        assert_eq!(it.join(0, joined).await.unwrap(), Turn::Continue);
        assert_eq!(
            it.signal(0, ask("said")).await.unwrap().as_deref(),
            Some("node reason sessionId userId username02")
        );
        let messages = vec![message(5, ""), message(6, "é")];
        assert_eq!(it.tick(1, messages).await.unwrap(), Turn::Continue);
        assert_eq!(
            it.signal(1, ask("said")).await.unwrap().as_deref(),
            Some(
                "data opCode receiveTimeMs reliable sender/node sessionId userId username/\
                 6étrue1700000000123"
            )
        );
        assert_eq!(it.signal(1, ask("none")).await.unwrap().as_deref(), Some(""));
        assert_eq!(
            it.signal(1, ask("ctx")).await.unwrap().as_deref(),
            Some(
                "env executionMode matchId matchLabel matchNode matchTickRate node version/\
                 5objectString00000000-0000-0000-0000-000000000007.node1first7"
            )
        );
        assert_eq!(it.leave(2, vec![presence("bob", 3)]).await.unwrap(), Turn::Continue);
        assert_eq!(it.terminate(2, 15).await.unwrap(), Turn::Continue);
        assert_eq!(it.seen.texts(), ["grace 15"]);
        assert_eq!(it.tick(3, vec![]).await.unwrap(), Turn::End);
    });
}

#[test]
fn javascript_matches_wait_pause_and_end_alone() {
    let mut config = config();
    config.runtime.call_deadline_ms = 1000;
    let changes = "
        handler.matchLoop = function endless(ctx, logger, nk, d, tick, state, messages) {
            for (const m of messages) {
                const what = nk.binaryToString(m.data);
                if (what === 'plain') while (true) {}
                if (what === 'caught') while (true) { try { while (true) {} } catch (e) {} }
                if (what === 'pattern') /(a+)+$/.test('a'.repeat(64) + 'b');
                if (what === 'deep') { const f = () => f() + 1; try { f(); } catch (e) { d.broadcastMessage(1, String(e)); } }
                if (what === 'memory') { const l = []; while (true) l.push(new Uint8Array(1e6)); }
                if (what === 'throw') throw new Error('thrown');
                if (what.startsWith('http')) d.broadcastMessage(1, 'code ' + nk.httpRequest(what, 'get').code);
            }
            return { state };
        };";
    let bench = bench_with(config, &[("index.js", &js(changes))]);
    let url = slow_url(&bench, Duration::from_millis(300));
    bench.run(move |maker| async move {
        let late =
            "JavaScript function endless of index.js ran longer than its deadline allows at ";
        let large =
            "JavaScript function endless of index.js used more memory than its limit allows at ";
        for (kind, sent, error) in [
            ("plain", None, Some((Code::DeadlineExceeded, late))),
            ("caught", None, Some((Code::DeadlineExceeded, late))),
            ("pattern", None, Some((Code::DeadlineExceeded, late))),
            ("deep", Some("RangeError: Maximum call stack size exceeded"), None),
            ("memory", None, Some((Code::ResourceExhausted, large))),
            ("throw", None, Some((Code::Internal, "Error: thrown at endless (index.js:"))),
            (&url, Some("code 204"), None),
        ] {
            let mut one = maker.make("m", Value::Null).await.unwrap();
            let mut good = maker.make("m", Value::Null).await.unwrap();
            let message = message(1, kind);
            let one = tokio::task::spawn_local(async move {
                let turn = one.tick(0, vec![message]).await;
                (turn, one.seen.texts())
            });
            let mut ticks = 0;
            while !one.is_finished() {
                tokio::task::yield_now().await;
                good.tick(ticks, vec![]).await.unwrap_or_else(|e| panic!("{kind} {ticks} {e}"));
                ticks += 1;
            }
            let (turn, texts) = one.await.unwrap();
            let long = matches!(error, Some((Code::DeadlineExceeded, _))) || kind == url;
            assert!(ticks > 20 || !long, "{kind}: {ticks}");
            match (turn, error) {
                (Ok(turn), None) => assert_eq!(turn, Turn::Continue, "{kind}"),
                (Err(got), Some((code, text))) => {
                    assert_eq!(got.code(), code, "{kind}: {got}");
                    assert!(got.message().starts_with(text), "{kind}: {got}");
                }
                (turn, error) => panic!("{kind}: {turn:?} for {error:?}"),
            }
            assert_eq!(texts.first().map(String::as_str), sent, "{kind}");
            assert_eq!(good.tick(ticks, vec![]).await.unwrap(), Turn::Continue);
        }
    });
}

#[test]
fn matches_that_cannot_be_say_why_in_the_words_of_the_reference() {
    let bench = javascript(
        "handler.matchInit = (ctx, logger, nk, params) => new Function('return ' + params.code)();",
    );
    bench.run(|maker| async move {
        let object = "matchInit is expected to return an object with 'state', 'tickRate' and 'label' properties";
        let rate = "matchInit 'tickRate' must be a number between 1 and 60";
        let state = "matchInit is expected to return an object with a 'state' property";
        for (code, expected) in [
            ("null", object),
            ("5", object),
            ("[]", object),
            ("({ tickRate: 10, label: '' })", state),
            ("({ state: 5, tickRate: 10, label: '' })", state),
            ("({ state: null, tickRate: 10 })", "Match initial state must not be nil"),
            ("({ state: {}, label: '' })", "matchInit return value has no 'tickRate' property"),
            ("({ state: {}, tickRate: 0, label: '' })", rate),
            ("({ state: {}, tickRate: 61, label: '' })", rate),
            ("({ state: {}, tickRate: 1.5, label: '' })", rate),
            ("({ state: {}, tickRate: 'fast', label: '' })", rate),
            ("({ state: {}, tickRate: 10, label: 5 })", "matchInit 'label' value must be a string"),
            ("({ state: {}, tickRate: 10, label: 'x'.repeat(2049) })", "match label too long, must be 0-2048 bytes"),
        ] {
            let error = maker.make("m", json!({ "code": code })).await.err().unwrap();
            assert_eq!(error.message(), format!("error creating match: {expected}"), "{code}");
        }
        let made = maker.make("m", json!({ "code": "({ state: {}, tickRate: 10 })" })).await.unwrap();
        assert_eq!(made.init.label, "");
        let error = maker.make("nobody", Value::Null).await.err().unwrap();
        assert_eq!(error.message(), "error creating match: not found");
    });
}

#[test]
fn what_a_handler_does_to_its_match_is_checked_as_in_the_reference() {
    let bench = javascript(
        "handler.matchSignal = (ctx, logger, nk, d, tick, state, data) => {
            let said = 'nothing';
            try { new Function('d', data)(d); } catch (e) { said = String(e); }
            return { state, data: said + ctx.matchLabel };
        };",
    );
    bench.run(|maker| async move {
        let id = "'00000000-0000-0000-0000-000000000001'";
        let one = format!("{{ userId: {id}, sessionId: {id}, node: 'node1', username: 'ann' }}");
        let mut it = maker.make("m", Value::Null).await.unwrap();
        for (call, expected) in [
            ("d.broadcastMessage()", "TypeError: expects numberlabel"),
            ("d.broadcastMessage(1.5)", "TypeError: expects numberlabel"),
            ("d.broadcastMessage(1, {})", "TypeError: expects data to be an ArrayBuffer, a string or nillabel"),
            ("d.broadcastMessage(1, '', 5)", "TypeError: expects an array of presences or nillabel"),
            ("d.broadcastMessage(1, '', [5])", "TypeError: expects an array of presences or nillabel"),
            ("d.broadcastMessage(1, '', [{}])", "TypeError: presence is expected to contain a 'sessionId'label"),
            ("d.broadcastMessage(1, '', [{ sessionId: 'x' }])", "TypeError: expects a valid 'sessionId'label"),
            ("d.broadcastMessage(1, '', null, 5)", "TypeError: expects sender to be an objectlabel"),
            ("d.broadcastMessage(1, '', null, {})", "TypeError: expects presence to contain 'userId'label"),
            ("d.broadcastMessage(1, '', null, null, 1)", "TypeError: expects booleanlabel"),
            ("d.matchKick([{ userId: 'a' }])", "TypeError: expects presence to contain valid userIdlabel"),
            ("d.matchKick(5)", "TypeError: expects an array of presence objectslabel"),
            ("d.matchLabelUpdate()", "TypeError: expects stringlabel"),
            ("d.matchLabelUpdate('x'.repeat(2049))", "GoError: error updating match label: match label too long, must be 0-2048 byteslabel"),
            ("'use strict'; d.matchKick = 1", "TypeError: 'matchKick' is read-onlylabel"),
            ("d.broadcastMessage(1, '', [])", "nothinglabel"),
            ("d.matchKick(null)", "nothinglabel"),
            ("d.matchLabelUpdate('second')", "nothingsecond"),
        ] {
            let told = it.signal(0, call.to_owned()).await.unwrap().unwrap();
            assert_eq!(told, expected, "{call}");
        }
        assert!(it.seen.broadcasts.lock().is_empty() && it.seen.kicked.lock().is_empty());
        let call = format!("d.broadcastMessageDeferred(7, new Uint8Array([65, 66]), [{one}], {one}, false)");
        it.signal(0, call).await.unwrap();
        let sent = it.seen.broadcasts.lock().pop().unwrap();
        assert_eq!((sent.op_code, &sent.data[..], sent.reliable, sent.deferred), (7, &b"AB"[..], false, true));
        assert_eq!(sent.recipients.unwrap().len(), 1);
        // As the reference sends it.
        assert_eq!(&*sent.sender.unwrap().username, "00000000-0000-0000-0000-000000000001");
        it.signal(0, format!("d.matchKick([{one}])")).await.unwrap();
        assert_eq!(it.seen.kicked.lock().pop().unwrap().user_id, Uuid::from_u128(1));
        *it.seen.refusal.lock() = Some(Refusal::Stopped);
        let told = it.signal(0, "d.broadcastMessage(1, 'x')".to_owned()).await.unwrap().unwrap();
        assert_eq!(told, "GoError: match stoppedsecond");
    });
}

#[test]
fn results_that_do_not_fit_end_the_match() {
    let bench = javascript(
        "const given = (ctx, logger, nk, d, tick, state) => new Function('state', 'return ' + state.code)(state);
        handler.matchInit = (ctx, logger, nk, params) => ({ state: params, tickRate: 10 });
        handler.matchJoinAttempt = handler.matchLoop = handler.matchSignal = handler.matchTerminate = given;",
    );
    bench.run(|maker| async move {
        let make = async |code: &str| maker.make("m", json!({ "code": code })).await.unwrap();
        let state = "matchLoop is expected to return an object with 'state' object property";
        for (code, expected) in [
            ("null", Ok(Turn::End)),
            ("undefined", Ok(Turn::End)),
            ("({ state })", Ok(Turn::Continue)),
            ("5", Err("matchLoop is expected to return an object with 'state' property")),
            ("({})", Err(state)),
            ("({ state: 5 })", Err(state)),
            ("({ state: [] })", Err(state)),
        ] {
            let turn = make(code).await.tick(0, vec![]).await;
            let turn = turn.map_err(|error| error.message().to_owned());
            assert_eq!(turn, expected.map_err(str::to_owned), "{code}");
        }
        for (code, expected) in [
            ("null", Ok(None)),
            ("5", Err("matchJoinAttempt is expected to return an object with 'state' and 'accept' properties")),
            ("({ state })", Err("matchJoinAttempt return value has an 'accept' property")),
            ("({ state, accept: 1 })", Err("matchJoinAttempt 'accept' property must be a boolean")),
            ("({ state, accept: false, rejectMessage: 1 })", Err("matchJoinAttempt 'rejectMessage' property must be a string")),
            ("({ accept: true })", Err("matchJoinAttempt is expected to return an object with 'state' object property")),
            ("({ state, accept: true, rejectMessage: 'unread' })", Ok(Some((true, "")))),
        ] {
            let answer = make(code).await.join_attempt(0, attempt(&[])).await;
            let answer = answer.map(|it| it.map(|it| (it.allow, it.reason)));
            let answer = answer.map_err(|error| error.message().to_owned());
            let expected = expected.map(|it| it.map(|(allow, reason): (_, &str)| (allow, reason.to_owned())));
            assert_eq!(answer, expected.map_err(str::to_owned), "{code}");
        }
        let signal = make("({ state, data: 5 })").await.signal(0, String::new()).await;
        assert_eq!(signal.unwrap_err().message(), "matchSignal 'data' property must be a string");
        assert_eq!(make("null").await.terminate(0, 1).await.unwrap(), Turn::End);
    });
}

#[test]
fn handlers_without_a_name_are_found_and_share_nothing() {
    let anonymous = "
        let count = 0;
        function InitModule(ctx, logger, nk, initializer) {
            const secret = nk.uuidv4();
            const same = (ctx, logger, nk, d, tick, state) => ({ state });
            initializer.registerRpc('secret', () => secret);
            initializer.registerMatch('m', {
                matchInit: () => ({ state: { n: 0 }, tickRate: 10 }),
                matchJoinAttempt: same, matchJoin: same, matchLeave: same, matchLoop: same, matchTerminate: same,
                matchSignal: (ctx, logger, nk, d, tick, state) => ({ state, data: secret.length + ' ' + ++count + ++state.n }),
            });
        }";
    for files in [
        vec![("a.js", anonymous)],
        // Its place among the functions of other modules.
        vec![
            (
                "a.js",
                "function InitModule(c, l, nk, i) { i.registerRpc('first', () => nk.uuidv4()); }",
            ),
            ("b.js", anonymous),
        ],
    ] {
        let bench = bench(&files);
        bench.run(|maker| async move {
            let mut one = maker.make("m", Value::Null).await.unwrap();
            let mut two = maker.make("m", Value::Null).await.unwrap();
            for expected in ["36 11", "36 22"] {
                for it in [&mut one, &mut two] {
                    assert_eq!(
                        it.signal(0, String::new()).await.unwrap().as_deref(),
                        Some(expected)
                    );
                }
            }
        });
    }
}

#[test]
fn lua_answers_before_javascript() {
    let lua =
        super::lua::handler("function M.match_signal(ctx, d, tick, state) return state, 'lua' end");
    let bench = bench(&[("m.lua", &lua), ("index.js", &js(""))]);
    bench.run(|maker| async move {
        let mut it = maker.make("m", Value::Null).await.unwrap();
        assert_eq!(it.signal(0, "js".to_owned()).await.unwrap().as_deref(), Some("lua"));
    });
}
