-- The core of the schema: users and what belongs to them, friends, groups,
-- storage objects, chat messages, leaderboards and the wallet ledger.

-- +migrate Up
CREATE TABLE IF NOT EXISTS users (
    id            uuid         NOT NULL,
    username      varchar(128) NOT NULL,
    display_name  varchar(255),
    avatar_url    varchar(512),
    lang_tag      varchar(18)  NOT NULL DEFAULT 'en',
    location      varchar(255),
    timezone      varchar(255),
    metadata      jsonb        NOT NULL DEFAULT '{}',
    wallet        jsonb        NOT NULL DEFAULT '{}',
    email         varchar(255),
    password      bytea,
    facebook_id   varchar(128),
    google_id     varchar(128),
    gamecenter_id varchar(128),
    steam_id      varchar(128),
    custom_id     varchar(128),
    edge_count    integer      NOT NULL DEFAULT 0,
    create_time   timestamptz  NOT NULL DEFAULT now(),
    update_time   timestamptz  NOT NULL DEFAULT now(),
    verify_time   timestamptz  NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    disable_time  timestamptz  NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_username_key UNIQUE (username),
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_facebook_id_key UNIQUE (facebook_id),
    CONSTRAINT users_google_id_key UNIQUE (google_id),
    CONSTRAINT users_gamecenter_id_key UNIQUE (gamecenter_id),
    CONSTRAINT users_steam_id_key UNIQUE (steam_id),
    CONSTRAINT users_custom_id_key UNIQUE (custom_id),
    CONSTRAINT users_edge_count_check CHECK (edge_count >= 0),
    CONSTRAINT users_password_check CHECK (length(password) < 32000)
);

-- The system user, who owns global storage objects.
INSERT INTO users (id, username)
VALUES ('00000000-0000-0000-0000-000000000000', '')
ON CONFLICT (id) DO NOTHING;

CREATE TABLE IF NOT EXISTS user_device (
    id      varchar(128) NOT NULL,
    user_id uuid         NOT NULL,
    CONSTRAINT user_device_pkey PRIMARY KEY (id),
    CONSTRAINT user_device_user_id_id_key UNIQUE (user_id, id),
    CONSTRAINT user_device_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

-- state: 0 friend, 1 invitation sent, 2 invitation received, 3 blocked.
CREATE TABLE IF NOT EXISTS user_edge (
    source_id      uuid        NOT NULL,
    position       bigint      NOT NULL,
    update_time    timestamptz NOT NULL DEFAULT now(),
    destination_id uuid        NOT NULL,
    state          smallint    NOT NULL DEFAULT 0,
    CONSTRAINT user_edge_pkey PRIMARY KEY (source_id, state, position),
    CONSTRAINT user_edge_source_id_destination_id_key UNIQUE (source_id, destination_id),
    CONSTRAINT user_edge_source_id_fkey FOREIGN KEY (source_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT user_edge_destination_id_fkey FOREIGN KEY (destination_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT user_edge_source_id_check CHECK (source_id <> '00000000-0000-0000-0000-000000000000'),
    CONSTRAINT user_edge_destination_id_check CHECK (destination_id <> '00000000-0000-0000-0000-000000000000')
);
CREATE INDEX IF NOT EXISTS user_edge_auto_index_fk_destination_id_ref_users ON user_edge (destination_id);

-- code: zero and below belong to the server.
CREATE TABLE IF NOT EXISTS notification (
    id          uuid         NOT NULL,
    user_id     uuid         NOT NULL,
    subject     varchar(255) NOT NULL,
    content     jsonb        NOT NULL DEFAULT '{}',
    code        smallint     NOT NULL,
    sender_id   uuid         NOT NULL,
    create_time timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT notification_pkey PRIMARY KEY (user_id, create_time, id),
    CONSTRAINT notification_id_key UNIQUE (id),
    CONSTRAINT notification_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

-- version: MD5 of the value as it was sent. read: 0 none, 1 owner, 2 public. write: 0 none, 1 owner.
CREATE TABLE IF NOT EXISTS storage (
    collection  varchar(128) NOT NULL,
    key         varchar(128) NOT NULL,
    user_id     uuid         NOT NULL,
    value       jsonb        NOT NULL DEFAULT '{}',
    version     varchar(32)  NOT NULL,
    read        smallint     NOT NULL DEFAULT 1,
    write       smallint     NOT NULL DEFAULT 1,
    create_time timestamptz  NOT NULL DEFAULT now(),
    update_time timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT storage_pkey PRIMARY KEY (collection, key, user_id),
    CONSTRAINT storage_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT storage_read_check CHECK (read >= 0),
    CONSTRAINT storage_write_check CHECK (write >= 0)
);
CREATE INDEX IF NOT EXISTS collection_read_user_id_key_idx ON storage (collection, read, user_id, key);
CREATE INDEX IF NOT EXISTS collection_read_key_user_id_idx ON storage (collection, read, key, user_id);
CREATE INDEX IF NOT EXISTS collection_user_id_read_key_idx ON storage (collection, user_id, read, key);
CREATE INDEX IF NOT EXISTS storage_auto_index_fk_user_id_ref_users ON storage (user_id);

-- code: 0 chat, 1 update, 2 remove, 3 group join, 4 add, 5 leave, 6 kick, 7 promote, 8 ban, 9 demote.
CREATE TABLE IF NOT EXISTS message (
    id                uuid         NOT NULL,
    code              smallint     NOT NULL DEFAULT 0,
    sender_id         uuid         NOT NULL,
    username          varchar(128) NOT NULL,
    stream_mode       smallint     NOT NULL,
    stream_subject    uuid         NOT NULL,
    stream_descriptor uuid         NOT NULL,
    stream_label      varchar(128) NOT NULL,
    content           jsonb        NOT NULL DEFAULT '{}',
    create_time       timestamptz  NOT NULL DEFAULT now(),
    update_time       timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT message_pkey PRIMARY KEY
        (stream_mode, stream_subject, stream_descriptor, stream_label, create_time, id),
    CONSTRAINT message_id_key UNIQUE (id),
    CONSTRAINT message_sender_id_id_key UNIQUE (sender_id, id),
    CONSTRAINT message_sender_id_fkey FOREIGN KEY (sender_id) REFERENCES users (id) ON DELETE CASCADE
);

-- sort_order: 0 ascending, 1 descending. operator: 0 best, 1 set, 2 increment, 3 decrement.
CREATE TABLE IF NOT EXISTS leaderboard (
    id             varchar(128) NOT NULL,
    authoritative  boolean      NOT NULL DEFAULT false,
    sort_order     smallint     NOT NULL DEFAULT 1,
    operator       smallint     NOT NULL DEFAULT 0,
    reset_schedule varchar(64),
    metadata       jsonb        NOT NULL DEFAULT '{}',
    create_time    timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT leaderboard_pkey PRIMARY KEY (id)
);

CREATE TABLE IF NOT EXISTS leaderboard_record (
    leaderboard_id varchar(128) NOT NULL,
    owner_id       uuid         NOT NULL,
    username       varchar(128),
    score          bigint       NOT NULL DEFAULT 0,
    subscore       bigint       NOT NULL DEFAULT 0,
    num_score      integer      NOT NULL DEFAULT 1,
    metadata       jsonb        NOT NULL DEFAULT '{}',
    create_time    timestamptz  NOT NULL DEFAULT now(),
    update_time    timestamptz  NOT NULL DEFAULT now(),
    expiry_time    timestamptz  NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    CONSTRAINT leaderboard_record_pkey PRIMARY KEY (leaderboard_id, expiry_time, score, subscore, owner_id),
    CONSTRAINT leaderboard_record_owner_id_leaderboard_id_expiry_time_key
        UNIQUE (owner_id, leaderboard_id, expiry_time),
    CONSTRAINT leaderboard_record_leaderboard_id_fkey
        FOREIGN KEY (leaderboard_id) REFERENCES leaderboard (id) ON DELETE CASCADE,
    CONSTRAINT leaderboard_record_score_check CHECK (score >= 0),
    CONSTRAINT leaderboard_record_subscore_check CHECK (subscore >= 0),
    CONSTRAINT leaderboard_record_num_score_check CHECK (num_score >= 0)
);

CREATE TABLE IF NOT EXISTS wallet_ledger (
    id          uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    changeset   jsonb       NOT NULL,
    metadata    jsonb       NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT wallet_ledger_pkey PRIMARY KEY (user_id, create_time, id),
    CONSTRAINT wallet_ledger_id_key UNIQUE (id),
    CONSTRAINT wallet_ledger_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS user_tombstone (
    user_id     uuid        NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_tombstone_pkey PRIMARY KEY (create_time, user_id),
    CONSTRAINT user_tombstone_user_id_key UNIQUE (user_id)
);

-- state: 0 open, 1 closed.
CREATE TABLE IF NOT EXISTS groups (
    id           uuid         NOT NULL,
    creator_id   uuid         NOT NULL,
    name         varchar(255) NOT NULL,
    description  varchar(255),
    avatar_url   varchar(512),
    lang_tag     varchar(18)  NOT NULL DEFAULT 'en',
    metadata     jsonb        NOT NULL DEFAULT '{}',
    state        smallint     NOT NULL DEFAULT 0,
    edge_count   integer      NOT NULL DEFAULT 0,
    max_count    integer      NOT NULL DEFAULT 100,
    create_time  timestamptz  NOT NULL DEFAULT now(),
    update_time  timestamptz  NOT NULL DEFAULT now(),
    disable_time timestamptz  NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    CONSTRAINT groups_pkey PRIMARY KEY (disable_time, lang_tag, edge_count, id),
    CONSTRAINT groups_id_key UNIQUE (id),
    CONSTRAINT groups_name_key UNIQUE (name),
    CONSTRAINT groups_state_check CHECK (state >= 0),
    CONSTRAINT groups_max_count_check CHECK (max_count >= 1),
    CONSTRAINT groups_check CHECK (edge_count >= 1 AND edge_count <= max_count)
);
CREATE INDEX IF NOT EXISTS edge_count_update_time_id_idx ON groups (disable_time, edge_count, update_time, id);
CREATE INDEX IF NOT EXISTS update_time_edge_count_id_idx ON groups (disable_time, update_time, edge_count, id);

-- state: 0 superadmin, 1 admin, 2 member, 3 join request, 4 banned.
CREATE TABLE IF NOT EXISTS group_edge (
    source_id      uuid        NOT NULL,
    position       bigint      NOT NULL,
    update_time    timestamptz NOT NULL DEFAULT now(),
    destination_id uuid        NOT NULL,
    state          smallint    NOT NULL DEFAULT 0,
    CONSTRAINT group_edge_pkey PRIMARY KEY (source_id, state, position),
    CONSTRAINT group_edge_source_id_destination_id_key UNIQUE (source_id, destination_id),
    CONSTRAINT group_edge_source_id_check CHECK (source_id <> '00000000-0000-0000-0000-000000000000'),
    CONSTRAINT group_edge_destination_id_check CHECK (destination_id <> '00000000-0000-0000-0000-000000000000')
);

-- +migrate Down
DROP TABLE IF EXISTS group_edge;
DROP TABLE IF EXISTS groups;
DROP TABLE IF EXISTS user_tombstone;
DROP TABLE IF EXISTS wallet_ledger;
DROP TABLE IF EXISTS leaderboard_record;
DROP TABLE IF EXISTS leaderboard;
DROP TABLE IF EXISTS message;
DROP TABLE IF EXISTS storage;
DROP TABLE IF EXISTS notification;
DROP TABLE IF EXISTS user_edge;
DROP TABLE IF EXISTS user_device;
DROP TABLE IF EXISTS users;
