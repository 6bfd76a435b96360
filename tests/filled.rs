//! A database that the reference filled, served unchanged: what stands in its rows is what clients
//! and modules are shown.
//!
//! The expected answers are made by SQL from the rows themselves.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use flate2::read::GzDecoder;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};

use crate::support::{SERVER_KEY, Server, Setup};

/// A dump of what the reference held after it had served all conformance cases.
const DUMP: &str = "tests/fixtures/database-filled.sql.gz";

/// What makes `public` what it is, line by line: columns, indices, constraints, functions, triggers.
const SCHEMA: &str = "
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('%s %s', p.proname, pg_get_function_identity_arguments(p.oid))
      FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1";

/// Functions that show rows as the REST API does, below a schema of their own: what is empty, zero
/// or unset is left out.
const SHOWN: &str = r#"
    CREATE SCHEMA shown;
    CREATE FUNCTION shown.time(t timestamptz) RETURNS text LANGUAGE sql AS $$
        SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') WHERE t <> to_timestamp(0) $$;
    -- With the fraction, in three or six digits.
    CREATE FUNCTION shown.instant(t timestamptz) RETURNS text LANGUAGE sql AS $$
        SELECT regexp_replace(regexp_replace(
            to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '000$', ''), '[.]000$', '')
            || 'Z' $$;
    CREATE FUNCTION shown.user(u public.users) RETURNS jsonb LANGUAGE sql AS $$
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'id', u.id, 'username', nullif(u.username, ''), 'display_name', u.display_name,
            'avatar_url', u.avatar_url, 'lang_tag', u.lang_tag, 'location', u.location,
            'timezone', u.timezone, 'metadata', u.metadata::text, 'apple_id', u.apple_id,
            'facebook_id', u.facebook_id, 'google_id', u.google_id, 'steam_id', u.steam_id,
            'gamecenter_id', u.gamecenter_id,
            'facebook_instant_game_id', u.facebook_instant_game_id,
            'edge_count', nullif(u.edge_count, 0),
            'create_time', shown.time(u.create_time), 'update_time', shown.time(u.update_time))) $$;
    CREATE FUNCTION shown.account(u public.users) RETURNS jsonb LANGUAGE sql AS $$
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'user', shown.user(u), 'wallet', u.wallet::text, 'email', u.email,
            'custom_id', u.custom_id, 'verify_time', shown.time(u.verify_time),
            'devices', (SELECT jsonb_agg(jsonb_build_object('id', d.id) ORDER BY d.id)
                          FROM public.user_device d WHERE d.user_id = u.id))) $$;
    CREATE FUNCTION shown.object(s public.storage) RETURNS jsonb LANGUAGE sql AS $$
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'collection', s.collection, 'key', s.key, 'user_id', s.user_id, 'value', s.value::text,
            'version', s.version, 'permission_read', nullif(s.read, 0),
            'permission_write', nullif(s.write, 0),
            'create_time', shown.time(s.create_time), 'update_time', shown.time(s.update_time))) $$;
    CREATE FUNCTION shown.notification(n public.notification) RETURNS jsonb LANGUAGE sql AS $$
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'id', n.id, 'subject', n.subject, 'content', n.content::text, 'code', nullif(n.code, 0),
            'sender_id', nullif(n.sender_id, '00000000-0000-0000-0000-000000000000'),
            'create_time', shown.time(n.create_time), 'persistent', true)) $$;
    CREATE FUNCTION shown.channel(m public.message) RETURNS text LANGUAGE sql AS $$
        SELECT concat_ws('.', m.stream_mode,
            CASE WHEN m.stream_mode = 2 THEN '' ELSE m.stream_subject::text END,
            CASE WHEN m.stream_mode = 4 THEN m.stream_descriptor::text ELSE '' END,
            m.stream_label) $$;
    CREATE FUNCTION shown.message(m public.message) RETURNS jsonb LANGUAGE sql AS $$
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'channel_id', shown.channel(m), 'message_id', m.id, 'code', m.code,
            'sender_id', m.sender_id, 'username', nullif(m.username, ''), 'content', m.content::text,
            'create_time', shown.instant(m.create_time), 'update_time', shown.instant(m.update_time),
            'persistent', true, 'room_name', nullif(m.stream_label, ''),
            'group_id', CASE WHEN m.stream_mode = 3 THEN m.stream_subject END,
            'user_id_one', CASE WHEN m.stream_mode = 4 THEN m.stream_subject END,
            'user_id_two', CASE WHEN m.stream_mode = 4 THEN m.stream_descriptor END)) $$;
    CREATE FUNCTION shown.record(r public.leaderboard_record, rank int8) RETURNS jsonb LANGUAGE sql AS $$
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'leaderboard_id', r.leaderboard_id, 'owner_id', r.owner_id, 'username', r.username,
            'score', nullif(r.score, 0)::text, 'subscore', nullif(r.subscore, 0)::text,
            'num_score', nullif(r.num_score, 0), 'metadata', r.metadata::text,
            'create_time', shown.time(r.create_time), 'update_time', shown.time(r.update_time),
            'expiry_time', shown.time(r.expiry_time), 'rank', rank::text,
            'max_num_score', nullif(r.max_num_score, 0))) $$;
    CREATE FUNCTION shown.seconds(t timestamptz) RETURNS int8 LANGUAGE sql AS $$
        SELECT extract(epoch FROM date_trunc('second', t))::int8 $$;
    CREATE FUNCTION shown.board(l public.leaderboard) RETURNS jsonb LANGUAGE sql AS $$
        SELECT jsonb_build_object(
            'id', l.id, 'sortOrder', l.sort_order, 'metadata', l.metadata,
            'operator', (ARRAY['best', 'set', 'increment', 'decrement'])[l.operator + 1],
            'createTime', shown.seconds(l.create_time)) || CASE
            WHEN l.duration = 0 THEN jsonb_build_object('authoritative', l.authoritative)
            ELSE jsonb_build_object(
                'title', l.title, 'description', l.description, 'category', l.category,
                'size', l.size, 'maxSize', l.max_size, 'maxNumScore', l.max_num_score,
                'duration', l.duration, 'startTime', shown.seconds(l.start_time),
                'endTime', nullif(shown.seconds(l.end_time), 0))
            END $$;
    CREATE FUNCTION shown.group(g public.groups) RETURNS jsonb LANGUAGE sql AS $$
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'id', g.id, 'creator_id', g.creator_id, 'name', g.name,
            'description', nullif(g.description, ''), 'avatar_url', nullif(g.avatar_url, ''),
            'lang_tag', nullif(g.lang_tag, ''), 'metadata', g.metadata::text, 'open', g.state = 0,
            'edge_count', nullif(g.edge_count, 0), 'max_count', g.max_count,
            'create_time', shown.time(g.create_time), 'update_time', shown.time(g.update_time))) $$;
"#;

/// Tokens for any user, and what clients cannot read.
const MODULE: &str = r#"
    const each = (rows, f) => JSON.stringify(Object.fromEntries(rows.map((row) => [row, f(row)])));

    function InitModule(ctx, logger, nk, initializer) {
      const rpc = (id, f) => initializer.registerRpc(id, (ctx, logger, nk, payload) => f(nk, JSON.parse(payload)));
      rpc("tokens", (nk, ids) => each(ids, (id) => nk.authenticateTokenGenerate(id, "any").token));
      rpc("objects", (nk, ids) => JSON.stringify(nk.storageRead(ids)));
      rpc("ledger", (nk, id) => JSON.stringify(nk.walletLedgerList(id, 100).items));
      rpc("messages", (nk, id) => JSON.stringify(nk.channelMessagesList(id, 100, true).messages));
      rpc("leaderboards", (nk, ids) => JSON.stringify(nk.leaderboardsGetId(ids)));
      rpc("tournaments", (nk, ids) => JSON.stringify(nk.tournamentsGetId(ids)));
    }
"#;

/// The server on the filled database, and the database itself.
struct Filled {
    server: Server,
    io: Runtime,
    client: Client,
    /// A session token of each user.
    tokens: BTreeMap<String, String>,
    /// [`SCHEMA`] as it was restored.
    schema: Vec<String>,
    /// Every row as it was restored.
    rows: Vec<String>,
}

impl Filled {
    fn start() -> Self {
        let io = Runtime::new().unwrap();
        let limits = ["account_address_limit", "account_limit", "address_limit"];
        let limits = limits.map(|limit| format!("--sign_in.{limit}=1000000"));
        let setup = Setup::new().module("index.js", MODULE);
        let setup = limits.into_iter().fold(setup, Setup::flag);
        let mut server = setup.start();
        let client = connect(&io, server.folder());
        io.block_on(restore(&client));
        // What the dump set for its session ends with it.
        let client = connect(&io, server.folder());
        let (schema, rows) =
            io.block_on(async { (texts(&client, SCHEMA).await, rows(&client).await) });
        assert!(schema.len() > 250, "{} lines of schema", schema.len());
        drop(client);
        server.restart();
        let client = connect(&io, server.folder());
        io.block_on(client.batch_execute(SHOWN)).unwrap();
        let mut filled = Self { server, io, client, tokens: BTreeMap::new(), schema, rows };
        filled.is_untouched();
        let ids: Vec<String> = filled.texts("SELECT id::text FROM users");
        assert_eq!(ids.len(), 707);
        let tokens = filled.server.rpc("tokens", &json!(ids).to_string()).ok();
        filled.tokens = serde_json::from_value(tokens).unwrap();
        filled
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        self.io.block_on(texts(&self.client, sql))
    }

    /// Fails unless schema `public` and all that is in it are as they were restored.
    fn is_untouched(&self) {
        let now = [self.texts(SCHEMA), self.io.block_on(rows(&self.client))];
        for (now, restored) in now.iter().zip([&self.schema, &self.rows]) {
            let added = now.iter().filter(|line| !restored.contains(line));
            let gone = restored.iter().filter(|line| !now.contains(line));
            let changed: Vec<_> = added.chain(gone).collect();
            assert!(changed.is_empty(), "{changed:#?}");
        }
    }

    /// The rows of a statement with a text and a JSON value each.
    fn pairs(&self, sql: &str) -> Vec<(String, Value)> {
        let rows = self.io.block_on(self.client.query(sql, &[])).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    fn get(&self, path: &str, user: &str) -> Value {
        self.server.get(path, &self.tokens[user]).ok()
    }
}

fn connect(io: &Runtime, folder: &Path) -> Client {
    let mut config = Config::new();
    config.host_path(folder.join("data/postgres-socket")).user("postgres").dbname("guildhall");
    let (client, connection) = io.block_on(config.connect(NoTls)).unwrap();
    io.spawn(connection);
    client
}

async fn texts(client: &Client, sql: &str) -> Vec<String> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Every row of every table of schema `public`.
async fn rows(client: &Client) -> Vec<String> {
    let mut rows = Vec::new();
    for table in
        texts(client, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await
    {
        let sql = format!("SELECT format('{table} %s', t) FROM public.{table} t");
        rows.extend(texts(client, &sql).await);
    }
    rows
}

/// Puts the dump in the place of schema `public`. Where the database has no pg_trgm, as the one
/// that is built in, without the two statements that need it.
async fn restore(client: &Client) {
    let mut dump = String::new();
    let file = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(DUMP)).unwrap();
    GzDecoder::new(file).read_to_string(&mut dump).unwrap();
    let trgm = "SELECT name::text FROM pg_available_extensions WHERE name = 'pg_trgm'";
    let has_trgm = !texts(client, trgm).await.is_empty();
    client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
    let mut statements = String::new();
    let mut lines = dump.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('\\') || !has_trgm && (line.contains("trgm")) {
            // What is for psql, and what this database cannot do.
        } else if line.starts_with("COPY ") {
            client.batch_execute(&std::mem::take(&mut statements)).await.unwrap();
            let mut rows = String::new();
            for row in lines.by_ref().take_while(|row| *row != "\\.") {
                rows.push_str(row);
                rows.push('\n');
            }
            let sink = client.copy_in(line).await.unwrap();
            let mut sink = Box::pin(sink);
            sink.send(bytes::Bytes::from(rows)).await.unwrap();
            sink.close().await.unwrap();
        } else {
            statements.push_str(line);
            statements.push('\n');
        }
    }
    client.batch_execute(&statements).await.unwrap();
}

#[test]
fn a_database_of_the_reference_is_served_as_it_stands() {
    let filled = Filled::start();
    accounts(&filled);
    sign_ins(&filled);
    objects(&filled);
    notifications(&filled);
    messages(&filled);
    ledgers(&filled);
    friends(&filled);
    groups(&filled);
    boards(&filled);
    records(&filled);
    filled.is_untouched();
}

/// Everybody's account, as its owner sees it; and everybody as others do.
fn accounts(filled: &Filled) {
    let nobody = "00000000-0000-0000-0000-000000000000";
    for (id, mut wanted) in filled.pairs("SELECT id::text, shown.account(u) FROM users u") {
        let mut account = filled.get("/v2/account", &id);
        sort(&mut account["devices"], |device| device["id"].to_string());
        sort(&mut wanted["devices"], |device| device["id"].to_string());
        assert_eq!(account, wanted, "{id}");
    }
    let users = filled.pairs(&format!(
        "SELECT id::text, shown.user(u) FROM users u WHERE id <> '{nobody}' ORDER BY id"
    ));
    for part in users.chunks(50) {
        let ids: Vec<_> = part.iter().map(|(id, _)| format!("ids={id}")).collect();
        let mut found = filled.get(&format!("/v2/user?{}", ids.join("&")), nobody);
        sort(&mut found["users"], |user| user["id"].to_string());
        let wanted: Vec<_> = part.iter().map(|(_, user)| user.clone()).collect();
        assert_eq!(found["users"], json!(wanted));
    }
}

/// Sorts an array; absent is as good as empty.
fn sort(list: &mut Value, by: impl Fn(&Value) -> String) {
    let mut items = list.as_array().cloned().unwrap_or_default();
    items.sort_by_key(by);
    *list = items.into();
}

/// Everybody signs in by custom id and by device, as far as they have them and are not banned.
fn sign_ins(filled: &Filled) {
    let mut count = 0;
    for (kind, sql) in [
        ("custom", "SELECT custom_id, to_jsonb(u) FROM users u WHERE custom_id IS NOT NULL"),
        ("device", "SELECT d.id, to_jsonb(u) FROM user_device d JOIN users u ON u.id = d.user_id"),
    ] {
        for (id, user) in filled.pairs(sql) {
            let path = format!("/v2/account/authenticate/{kind}?create=false");
            let session = filled.server.call("POST", &path, SERVER_KEY, Some(&json!({ "id": id })));
            let banned = !user["disable_time"].as_str().unwrap().starts_with("1970-01-01");
            if banned {
                assert_eq!(session.status, 403, "{id}");
                continue;
            }
            let token = session.text("token");
            let account = filled.server.get("/v2/account", &token).ok();
            assert_eq!(account["user"]["id"], user["id"], "{id}");
            count += 1;
        }
    }
    assert!(count > 600, "{count}");
}

/// Every object by its owner, where the owner may read it, and by the server.
fn objects(filled: &Filled) {
    let own = filled.pairs(
        "SELECT user_id::text || '/' || collection, jsonb_agg(shown.object(s) ORDER BY key)
           FROM storage s
          WHERE read > 0 AND user_id <> '00000000-0000-0000-0000-000000000000' GROUP BY 1",
    );
    for (place, wanted) in own {
        let (owner, collection) = place.split_once('/').unwrap();
        let path = format!("/v2/storage/{collection}/{owner}?limit=100");
        let mut found = filled.get(&path, owner);
        sort(&mut found["objects"], |object| object["key"].to_string());
        let mut wanted = wanted;
        sort(&mut wanted, |object| object["key"].to_string());
        assert_eq!(found["objects"], wanted, "{place}");
    }
    let all = filled.pairs(
        "SELECT '', jsonb_build_object(
                'collection', collection, 'key', key, 'userId', user_id, 'version', version,
                'permissionRead', read, 'permissionWrite', write, 'value', value,
                'createTime', extract(epoch FROM date_trunc('second', create_time))::int8,
                'updateTime', extract(epoch FROM date_trunc('second', update_time))::int8)
           FROM storage",
    );
    let all: Vec<Value> = all.into_iter().map(|(_, object)| object).collect();
    assert_eq!(all.len(), 78);
    let found = filled.server.rpc("objects", &json!(all).to_string()).ok();
    assert_eq!(found, json!(all));
}

/// Everybody's notifications, from first to last over the pages.
fn notifications(filled: &Filled) {
    let wanted = filled.pairs(
        "SELECT user_id::text, jsonb_agg(shown.notification(n) ORDER BY create_time, id)
           FROM notification n GROUP BY 1",
    );
    assert!(!wanted.is_empty());
    for (user, wanted) in wanted {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for wanted in wanted.as_array().unwrap().chunks(2) {
            let path = format!("/v2/notification?limit=2&cacheable_cursor={cursor}");
            let page = filled.get(&path, &user);
            assert_eq!(page["notifications"].as_array().map(Vec::len), Some(wanted.len()));
            found.extend(page["notifications"].as_array().unwrap().clone());
            cursor = page["cacheable_cursor"].as_str().unwrap_or_default().to_owned();
        }
        assert_eq!(json!(found), wanted, "{user}");
    }
}

/// The history of every channel, by someone who may read it.
fn messages(filled: &Filled) {
    let wanted = filled.pairs(
        "SELECT shown.channel(m), jsonb_build_object(
                'messages', jsonb_agg(shown.message(m) ORDER BY create_time, id),
                'reader', coalesce(
                    CASE WHEN min(stream_mode) = 4 THEN min(stream_subject::text) END,
                    (SELECT min(e.destination_id::text) FROM group_edge e
                      WHERE e.source_id::text = min(m.stream_subject::text) AND e.state <= 2),
                    CASE WHEN min(stream_mode) = 2 THEN min(sender_id::text) END))
           FROM message m GROUP BY 1",
    );
    assert!(wanted.len() > 20, "{}", wanted.len());
    for (channel, wanted) in wanted {
        // A group that is gone has a history all the same.
        let Some(reader) = wanted["reader"].as_str() else { continue };
        let path = format!("/v2/channel/{channel}?limit=100&forward=true");
        assert_eq!(filled.get(&path, reader)["messages"], wanted["messages"], "{channel}");
    }
}

/// Every entry of every ledger of a wallet, the newest first.
fn ledgers(filled: &Filled) {
    let wanted = filled.pairs(
        "SELECT user_id::text, jsonb_agg(jsonb_build_object(
                'id', id, 'userId', user_id, 'changeset', changeset, 'metadata', metadata,
                'createTime', extract(epoch FROM date_trunc('second', create_time))::int8,
                'updateTime', extract(epoch FROM date_trunc('second', update_time))::int8)
                ORDER BY create_time DESC, id DESC)
           FROM wallet_ledger GROUP BY 1",
    );
    assert!(!wanted.is_empty());
    for (user, wanted) in wanted {
        let found = filled.server.rpc("ledger", &json!(user).to_string()).ok();
        assert_eq!(found, wanted, "{user}");
    }
}

/// Every leaderboard and tournament, without what depends on the time of day.
fn boards(filled: &Filled) {
    for (kind, condition) in [("leaderboards", "duration = 0"), ("tournaments", "duration > 0")] {
        let wanted = filled
            .pairs(&format!("SELECT id, shown.board(l) FROM leaderboard l WHERE {condition}"));
        assert!(wanted.len() > 20);
        for (id, wanted) in wanted {
            let found = filled.server.rpc(kind, &json!([id]).to_string()).ok();
            let mut found = found[0].as_object().unwrap().clone();
            for computed in
                ["startActive", "endActive", "canEnter", "nextReset", "prevReset", "joinRequired"]
            {
                found.remove(computed);
            }
            assert_eq!(json!(found), wanted, "{id}");
        }
    }
}

/// Every record in its order, counted.
fn records(filled: &Filled) {
    let nobody = "00000000-0000-0000-0000-000000000000";
    let lists = filled.pairs(
        "WITH ranked AS (
            SELECT r, l.duration > 0 AS tournament, row_number() OVER (
                PARTITION BY r.leaderboard_id, r.expiry_time
                ORDER BY CASE l.sort_order WHEN 0 THEN r.score ELSE -r.score END,
                         CASE l.sort_order WHEN 0 THEN r.subscore ELSE -r.subscore END,
                         r.owner_id) AS rank
              FROM leaderboard_record r JOIN leaderboard l ON l.id = r.leaderboard_id
             -- One record of a tournament that ends has no end: no list of any server shows it.
             WHERE l.duration = 0 OR l.end_time = to_timestamp(0) OR r.expiry_time <> to_timestamp(0))
         SELECT format('%s/%s?limit=100&expiry=%s',
                    CASE WHEN tournament THEN 'tournament' ELSE 'leaderboard' END,
                    (r).leaderboard_id, shown.seconds((r).expiry_time)),
                jsonb_agg(shown.record(r, rank) ORDER BY rank)
           FROM ranked GROUP BY 1",
    );
    assert!(lists.len() > 30, "{}", lists.len());
    let count: usize = lists.iter().map(|(_, list)| list.as_array().unwrap().len()).sum();
    assert_eq!(count, 56);
    for (path, wanted) in lists {
        let found = filled.get(&format!("/v2/{path}"), nobody);
        assert_eq!(found["records"], wanted, "{path}");
    }
}

/// Every edge between users, in its order.
fn friends(filled: &Filled) {
    let wanted = filled.pairs(
        "SELECT source_id::text, jsonb_agg(jsonb_build_object(
                -- The reference does not tell how many friends a friend has.
                'user', shown.user(u) - 'edge_count', 'state', e.state,
                'update_time', shown.time(e.update_time),
                'metadata', e.metadata::text) ORDER BY e.state, e.position)
           FROM user_edge e JOIN users u ON u.id = e.destination_id GROUP BY 1",
    );
    assert!(!wanted.is_empty());
    for (user, wanted) in wanted {
        let found = filled.get("/v2/friend?limit=1000", &user);
        assert_eq!(found["friends"], wanted, "{user}");
    }
}

/// Every group, by its members and as a member's.
fn groups(filled: &Filled) {
    let nobody = "00000000-0000-0000-0000-000000000000";
    let mut count = 0;
    let groups = filled.pairs("SELECT id::text, shown.group(g) FROM groups g");
    for (_, wanted) in &groups {
        let name = wanted["name"].as_str().unwrap();
        let found = filled.get(&format!("/v2/group?limit=100&name={name}"), nobody);
        // In any case, so that it may not be the only one.
        assert!(found["groups"].as_array().unwrap().contains(wanted), "{wanted} in {found}");
        count += 1;
    }
    assert_eq!(count, 57);
    let members = filled.pairs(
        "SELECT g.id::text, jsonb_agg(jsonb_build_object(
                'user', shown.user(u), 'state', e.state) ORDER BY e.state, e.position)
           FROM groups g JOIN group_edge e ON e.source_id = g.id
           JOIN users u ON u.id = e.destination_id GROUP BY 1",
    );
    for (group, wanted) in members {
        assert_eq!(edges(filled, &format!("/v2/group/{group}/user"), nobody), wanted, "{group}");
    }
    let memberships = filled.pairs(
        "SELECT u.id::text, jsonb_agg(jsonb_build_object(
                'group', shown.group(g), 'state', e.state) ORDER BY e.state, e.position)
           FROM users u JOIN group_edge e ON e.source_id = u.id
           JOIN groups g ON g.id = e.destination_id GROUP BY 1",
    );
    for (user, wanted) in memberships {
        assert_eq!(edges(filled, &format!("/v2/user/{user}/group"), &user), wanted, "{user}");
    }
}

/// All edges of a list of members or memberships; those that are banned only on demand.
fn edges(filled: &Filled, path: &str, user: &str) -> Value {
    let lists = ["limit=100", "limit=100&state=4"].map(|query| {
        let page = filled.get(&format!("{path}?{query}"), user);
        let list = page.get("group_users").or(page.get("user_groups"));
        list.and_then(Value::as_array).cloned().unwrap_or_default()
    });
    lists.concat().into()
}
