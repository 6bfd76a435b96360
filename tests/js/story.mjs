// A player's story with the official client, as a game would tell it: `node story.mjs PORT`.
import assert from "node:assert/strict";
import { Client, Session } from "@heroiclabs/nakama-js";

const client = new Client("defaultkey", "127.0.0.1", process.argv[2], false);

/** The status and message of a call that must fail. */
async function refusal(call) {
  try {
    await call;
  } catch (response) {
    const { code, message } = await response.json();
    return { status: response.status, code, message };
  }
  assert.fail("the call was not refused");
}

// Sign in by device, and look at the account.
const session = await client.authenticateDevice("device-0123456789", true, "ann", { team: "red" });
assert.equal(session.created, true);
assert.equal(session.username, "ann");
assert.deepEqual(session.vars, { team: "red" });
let account = await client.getAccount(session);
assert.equal(account.user.username, "ann");
assert.deepEqual(account.devices.map((device) => device.id), ["device-0123456789"]);

// Change it.
await client.updateAccount(session, { display_name: " Ann of the Hill ", location: "hill" });
account = await client.getAccount(session);
assert.equal(account.user.display_name, "Ann of the Hill");
assert.equal(account.user.location, "hill");

// Link an e-mail address and a custom id, sign in by each, and unlink again.
await client.linkEmail(session, { email: "ann@example.com", password: "password123" });
await client.linkCustom(session, { id: "custom-0123456789" });
const byEmail = await client.authenticateEmail("ann@example.com", "password123", false);
assert.equal(byEmail.user_id, session.user_id);
assert.equal(byEmail.created, false);
const wrong = await refusal(client.authenticateEmail("ann@example.com", "wrong-password", false));
assert.deepEqual([wrong.status, wrong.code], [401, 16]);
const byCustom = await client.authenticateCustom("custom-0123456789", false);
assert.equal(byCustom.user_id, session.user_id);
await client.unlinkCustom(session, { id: "custom-0123456789" });
const gone = await refusal(client.authenticateCustom("custom-0123456789", false));
assert.deepEqual([gone.status, gone.code], [404, 5]);

// RPCs in both languages, with a session and with the HTTP key.
const hello = await client.rpc(session, "hello_js", "Ann");
assert.deepEqual(hello.payload, { message: "Hello, Ann!", from: "JavaScript" });
const visit = await client.rpc(session, "visit_lua", {});
assert.deepEqual(visit.payload, { count: 1 });
const byKey = await client.rpcHttpKey("defaulthttpkey", "hello_lua");
assert.deepEqual(byKey.payload, { message: "Hello, world!", from: "Lua" });

// An event, a refresh, and the end.
await client.emitEvent(session, { name: "story_told", properties: { chapter: "1" } });
const refreshed = await client.sessionRefresh(Session.restore(session.token, session.refresh_token));
assert.equal(refreshed.user_id, session.user_id);
await client.sessionLogout(refreshed, refreshed.token, refreshed.refresh_token);
const out = await refusal(client.getAccount(new Session(refreshed.token, "", false)));
assert.deepEqual([out.status, out.code], [401, 16]);

// Another player leaves for good.
const other = await client.authenticateDevice("device-9876543210", true, "bob");
await client.deleteAccount(other);
const back = await refusal(client.authenticateDevice("device-9876543210", false));
assert.deepEqual([back.status, back.code], [404, 5]);
