-- Notes of operators about users, the console's audit log, and templates of access lists.

-- +migrate Up
CREATE TABLE IF NOT EXISTS users_notes (
    id          uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    note        text        NOT NULL,
    create_id   uuid,
    update_id   uuid,
    CONSTRAINT users_notes_pkey PRIMARY KEY (user_id, create_time, id),
    CONSTRAINT users_notes_id_key UNIQUE (id),
    CONSTRAINT users_notes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS console_audit_log (
    create_time      timestamptz NOT NULL DEFAULT now(),
    id               uuid        NOT NULL,
    console_user_id  uuid        NOT NULL,
    console_username text        NOT NULL,
    email            text        NOT NULL,
    action           text        NOT NULL,
    resource         text        NOT NULL,
    message          text        NOT NULL,
    metadata         jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT console_audit_log_pkey PRIMARY KEY (create_time, console_username, action, resource, id),
    CONSTRAINT console_audit_log_id_key UNIQUE (id)
);

CREATE TABLE IF NOT EXISTS console_acl_template (
    id          uuid        NOT NULL,
    name        varchar(64) NOT NULL,
    description varchar(64) NOT NULL DEFAULT '',
    acl         jsonb       NOT NULL DEFAULT '{}',
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT console_acl_template_pkey PRIMARY KEY (id),
    CONSTRAINT template_name_uniq UNIQUE (name),
    CONSTRAINT console_acl_template_name_check CHECK (length(name) > 0)
);

-- +migrate Down
DROP TABLE IF EXISTS console_acl_template;
DROP TABLE IF EXISTS console_audit_log;
DROP TABLE IF EXISTS users_notes;
