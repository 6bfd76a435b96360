// Two players over all resources, with the official client: `node resources.mjs PORT BOUGHT`,
// beside tests/js/modules/resources.js. BOUGHT is JSON: what the stores gave for a purchase.
import assert from "node:assert/strict";
import { Client } from "@heroiclabs/nakama-js";

const client = new Client("defaultkey", "127.0.0.1", process.argv[2], false);
const bought = JSON.parse(process.argv[3]);

/** The status, code and message of a call that must fail. */
async function refusal(call) {
  try {
    await call;
  } catch (response) {
    const { code, message } = await response.json();
    return [response.status, code, message];
  }
  assert.fail("the call was not refused");
}

const ann = await client.authenticateDevice("device-of-ann-0123", true, "ann");
const bob = await client.authenticateDevice("device-of-bob-0123", true, "bob");
const cleo = await client.authenticateDevice("device-of-cleo-123", true, "cleo");
const rpc = async (session, id, payload) => (await client.rpc(session, id, payload)).payload;
const codes = async (session) =>
  (await client.listNotifications(session, 100)).notifications.map((it) => it.code);

const chapters = {
  async "friends: invited, accepted, of friends, and no more"() {
    const states = async (session) =>
      (await client.listFriends(session)).friends.map(({ user, state }) => [user.username, state]);
    await client.addFriends(ann, [bob.user_id]);
    assert.deepEqual(await states(ann), [["bob", 1]]);
    assert.deepEqual(await states(bob), [["ann", 2]]);
    await client.addFriends(bob, [], ["ann"]);
    assert.deepEqual(await states(ann), [["bob", 0]]);
    assert.deepEqual(await states(bob), [["ann", 0]]);
    // An invitation, and that it was accepted.
    assert.deepEqual(await codes(bob), [-2]);
    assert.deepEqual(await codes(ann), [-3]);

    await client.addFriends(bob, [cleo.user_id]);
    await client.addFriends(cleo, [bob.user_id]);
    const { friends_of_friends: found } = await client.listFriendsOfFriends(ann);
    assert.deepEqual(found.map((it) => [it.referrer, it.user.username]), [[bob.user_id, "cleo"]]);
    const users = await client.getUsers(ann, [bob.user_id], ["cleo"]);
    assert.deepEqual(users.users.map((it) => it.username).sort(), ["bob", "cleo"]);

    await client.blockFriends(cleo, [bob.user_id]);
    assert.deepEqual(await states(cleo), [["bob", 3]]);
    assert.deepEqual(await states(bob), [["ann", 0]]);
    await client.deleteFriends(cleo, [], ["bob"]);
    assert.deepEqual(await states(cleo), []);
  },

  async "chat: the history of two, page by page, and nobody else's"() {
    const said = [];
    for (const text of ["hello", "how are you?", "fine"]) {
      said.push(await rpc(ann, "say", { target: bob.user_id, type: 2, text }));
    }
    const channel = said[0].channelId;
    const first = await client.listChannelMessages(bob, channel, 2, true);
    assert.deepEqual(first.messages.map((it) => it.content.text), ["hello", "how are you?"]);
    assert.equal(first.messages[0].username, "ann");
    // What is said meanwhile comes at the end.
    await rpc(bob, "say", { target: ann.user_id, type: 2, text: "good" });
    const second = await client.listChannelMessages(bob, channel, 2, true, first.next_cursor);
    assert.deepEqual(second.messages.map((it) => it.content.text), ["fine", "good"]);
    const back = await client.listChannelMessages(ann, channel, 1, false);
    assert.deepEqual(back.messages.map((it) => it.content.text), ["good"]);
    const strange = client.listChannelMessages(cleo, channel, 10, true);
    assert.deepEqual(await refusal(strange), [400, 3, "Channel not found."]);
    const garbage = client.listChannelMessages(ann, channel, 10, true, "garbage");
    assert.deepEqual((await refusal(garbage)).slice(0, 2), [400, 3]);
  },

  async "a group: asked, taken in, raised, and left"() {
    const made = { name: "Climbers", description: "Uphill", open: false, max_count: 3 };
    const group = await client.createGroup(ann, made);
    assert.deepEqual([group.name, group.open, group.edge_count], ["Climbers", false, 1]);
    const again = client.createGroup(bob, { name: "Climbers" });
    assert.deepEqual(await refusal(again), [409, 6, "Group name is in use."]);
    const members = async () => {
      const { group_users: list } = await client.listGroupUsers(ann, group.id);
      return list.map(({ user, state }) => [user.username, state]);
    };
    await client.joinGroup(bob, group.id);
    assert.deepEqual(await members(), [["ann", 0], ["bob", 3]]);
    await client.addGroupUsers(ann, group.id, [bob.user_id]);
    await client.addGroupUsers(ann, group.id, [cleo.user_id]);
    assert.deepEqual(await members(), [["ann", 0], ["bob", 2], ["cleo", 2]]);
    await client.promoteGroupUsers(ann, group.id, [bob.user_id]);
    assert.deepEqual(await members(), [["ann", 0], ["bob", 1], ["cleo", 2]]);
    const other = client.updateGroup(cleo, group.id, { name: "Runners" });
    assert.equal((await refusal(other))[0], 404);
    await client.updateGroup(bob, group.id, { description: "Downhill" });
    const { groups: found } = await client.listGroups(cleo, "climb%");
    assert.deepEqual(found.map((it) => [it.description, it.edge_count]), [["Downhill", 3]]);
    const last = client.leaveGroup(ann, group.id);
    const sentence = "Cannot leave group when you are the last superadmin.";
    assert.deepEqual(await refusal(last), [400, 3, sentence]);
    await client.demoteGroupUsers(ann, group.id, [bob.user_id]);
    await client.kickGroupUsers(ann, group.id, [bob.user_id]);
    await client.leaveGroup(cleo, group.id);
    await client.banGroupUsers(ann, group.id, [bob.user_id]);
    assert.deepEqual(await members(), [["ann", 0]]);
    const { user_groups: own } = await client.listUserGroups(ann, ann.user_id);
    assert.deepEqual(own.map((it) => [it.group.name, it.state]), [["Climbers", 0]]);
    // The channel tells the story: added twice, raised, lowered, put out, left.
    const history = await rpc(ann, "history", { target: group.id, type: 3 });
    assert.deepEqual(history.map((it) => it.code), [4, 4, 7, 9, 6, 5]);
    await client.deleteGroup(ann, group.id);
    assert.deepEqual((await client.listGroups(ann, "Climbers")).groups, []);
  },

  async "storage: what is one's own, and who comes too late"() {
    const write = (session, value, version) => client.writeStorageObjects(session, [
      { collection: "saves", key: "slot", value, version, permission_read: 2, permission_write: 1 },
    ]);
    const { acks: [first] } = await write(ann, { level: 1 }, "*");
    // Another device has the same version, and is faster.
    const { acks: [faster] } = await write(ann, { level: 2 }, first.version);
    assert.notEqual(faster.version, first.version);
    const slower = write(ann, { level: 3 }, first.version);
    const sentence = "Storage write rejected - version check failed.";
    assert.deepEqual(await refusal(slower), [400, 3, sentence]);
    assert.equal((await refusal(write(ann, { level: 1 }, "*")))[2], sentence);
    const id = { collection: "saves", key: "slot", user_id: ann.user_id };
    const read = await client.readStorageObjects(bob, { object_ids: [id] });
    assert.deepEqual(read.objects.map((it) => [it.value, it.version]), [[{ level: 2 }, faster.version]]);

    const many = Array.from({ length: 5 }, (_, n) => ({
      collection: "saves", key: `page ${n}`, value: { n }, permission_read: 1, permission_write: 1,
    }));
    await client.writeStorageObjects(ann, many);
    const keys = [];
    let cursor;
    do {
      const page = await client.listStorageObjects(ann, "saves", ann.user_id, 2, cursor);
      keys.push(...page.objects.map((it) => it.key));
      cursor = page.cursor;
    } while (cursor);
    assert.deepEqual(keys.sort(), ["page 0", "page 1", "page 2", "page 3", "page 4", "slot"]);
    const open = await client.listStorageObjects(bob, "saves", ann.user_id);
    assert.deepEqual(open.objects.map((it) => it.key), ["slot"]);
    await client.deleteStorageObjects(ann, { object_ids: [{ ...id, version: faster.version }] });
    assert.deepEqual((await client.readStorageObjects(ann, { object_ids: [id] })).objects, []);
  },

  async "notifications: read page by page, and done with"() {
    await rpc(ann, "notify", { user: cleo.user_id, count: 3 });
    const first = await client.listNotifications(cleo, 100);
    const own = first.notifications.filter((it) => it.subject.startsWith("reward"));
    assert.deepEqual(own.map((it) => [it.subject, it.code, it.content]),
      [0, 1, 2].map((n) => [`reward ${n}`, 100, { n }]));
    await rpc(ann, "notify", { user: cleo.user_id, count: 1 });
    const second = await client.listNotifications(cleo, 100, first.cacheable_cursor);
    assert.deepEqual(second.notifications.map((it) => it.subject), ["reward 0"]);
    await client.deleteNotifications(cleo, own.map((it) => it.id));
    const left = await client.listNotifications(cleo, 100);
    const ids = new Set(left.notifications.map((it) => it.id));
    assert.ok(own.every((it) => !ids.has(it.id)));
  },

  async "a leaderboard: ranks, one's own place, and both directions"() {
    const scores = [[ann, 30], [bob, 10], [cleo, 20]];
    for (const [session, score] of scores) {
      await client.writeLeaderboardRecord(session, "climb", { score: `${score}`, metadata: { score } });
    }
    // Only the best counts, and what changes nothing is not counted.
    const best = await client.writeLeaderboardRecord(ann, "climb", { score: "5" });
    assert.deepEqual([best.score, best.num_score, best.rank], [30, 1, 1]);
    const places = (list) => list.map((it) => [it.username, it.score, it.rank]);
    const first = await client.listLeaderboardRecords(bob, "climb", [bob.user_id], 2);
    assert.deepEqual(places(first.records), [["ann", 30, 1], ["cleo", 20, 2]]);
    assert.deepEqual(places(first.owner_records), [["bob", 10, 3]]);
    const second = await client.listLeaderboardRecords(bob, "climb", [], 2, first.next_cursor);
    assert.deepEqual(places(second.records), [["bob", 10, 3]]);
    const back = await client.listLeaderboardRecords(bob, "climb", [], 2, second.prev_cursor);
    assert.deepEqual(places(back.records), places(first.records));
    const around = await client.listLeaderboardRecordsAroundOwner(cleo, "climb", cleo.user_id, 3);
    assert.deepEqual(places(around.records), [["ann", 30, 1], ["cleo", 20, 2], ["bob", 10, 3]]);
  },

  async "a tournament: joined, played, and full"() {
    const { tournaments } = await client.listTournaments(ann, 1, 1, undefined, undefined, 10);
    assert.deepEqual(tournaments.map((it) => [it.id, it.title, it.max_size]), [["cup", "The Cup", 2]]);
    const early = client.writeTournamentRecord(ann, "cup", { score: "1" });
    const unjoined = "Must join tournament before attempting to write value.";
    assert.deepEqual(await refusal(early), [400, 9, unjoined]);
    for (const [session, score] of [[ann, "5"], [bob, "7"]]) {
      await client.joinTournament(session, "cup");
      await client.writeTournamentRecord(session, "cup", { score });
    }
    const full = client.joinTournament(cleo, "cup");
    const sentence = "Tournament cannot be joined as it has reached its max size.";
    assert.deepEqual(await refusal(full), [400, 3, sentence]);
    const { records } = await client.listTournamentRecords(cleo, "cup");
    assert.deepEqual(records.map((it) => [it.username, it.score, it.rank]), [["bob", 7, 1], ["ann", 5, 2]]);
    const around = await client.listTournamentRecordsAroundOwner(ann, "cup", ann.user_id, 1);
    assert.deepEqual(around.records.map((it) => it.username), ["ann"]);
    await client.deleteTournamentRecord(bob, "cup");
    const left = await client.listTournamentRecords(cleo, "cup");
    assert.deepEqual(left.records.map((it) => [it.username, it.rank]), [["ann", 1]]);
  },

  async "purchases: checked with the store, stored, and known when they come again"() {
    const shown = ({ validated_purchases: [it] }) =>
      [it.user_id, it.product_id, it.transaction_id, it.seen_before ?? false];
    const stores = {
      apple: () => client.validatePurchaseApple(ann, bought.apple),
      google: () => client.validatePurchaseGoogle(ann, bought.google),
      instant: () => client.validatePurchaseFacebookInstant(ann, bought.instant),
    };
    for (const [store, buy] of Object.entries(stores)) {
      const id = `${store}-purchase`;
      assert.deepEqual(shown(await buy()), [ann.user_id, "gems", id, false]);
      assert.deepEqual(shown(await buy()), [ann.user_id, "gems", id, true]);
    }
    const forged = client.validatePurchaseFacebookInstant(ann, `x${bought.instant}`);
    // As in the reference, a forgery is answered like a failure.
    assert.deepEqual((await refusal(forged)).slice(0, 2), [500, 2]);
    const strange = client.validatePurchaseApple(ann, "a receipt that the store never gave");
    assert.deepEqual((await refusal(strange)).slice(0, 2), [400, 9]);
    assert.deepEqual((await client.listSubscriptions(ann)).validated_subscriptions ?? [], []);
  },

  async "matches: none before anybody plays"() {
    assert.deepEqual((await client.listMatches(ann, 10)).matches ?? [], []);
  },
};

for (const [title, chapter] of Object.entries(chapters)) {
  try {
    await chapter();
  } catch (error) {
    if (error instanceof Response) console.error(error.status, await error.text());
    throw new Error(title, { cause: error });
  }
}
