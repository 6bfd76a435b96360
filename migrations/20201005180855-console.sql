-- Console users, the first form of purchases, and push tokens of devices.

-- +migrate Up
-- role: 1 admin, 2 developer, 3 maintainer, 4 read-only; replaced by acl later.
CREATE TABLE IF NOT EXISTS console_user (
    create_time  timestamptz  NOT NULL DEFAULT now(),
    disable_time timestamptz  NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    email        varchar(255) NOT NULL,
    id           uuid         NOT NULL,
    metadata     jsonb        NOT NULL DEFAULT '{}',
    password     bytea,
    role         smallint     NOT NULL DEFAULT 4,
    update_time  timestamptz  NOT NULL DEFAULT now(),
    username     varchar(128) NOT NULL,
    CONSTRAINT console_user_pkey PRIMARY KEY (id),
    CONSTRAINT console_user_email_uniq UNIQUE (email),
    CONSTRAINT console_user_username_uniq UNIQUE (username),
    CONSTRAINT console_user_password_check CHECK (length(password) < 32000),
    CONSTRAINT console_user_role_check CHECK (role >= 1)
);

CREATE TABLE IF NOT EXISTS purchase_receipt (
    create_time    timestamptz  NOT NULL DEFAULT now(),
    product_id     varchar(512) NOT NULL,
    purchase_time  timestamptz  NOT NULL DEFAULT now(),
    raw_response   jsonb        NOT NULL DEFAULT '{}',
    receipt        text         NOT NULL,
    store          smallint     NOT NULL DEFAULT 0,
    transaction_id varchar(512) NOT NULL,
    update_time    timestamptz  NOT NULL DEFAULT now(),
    user_id        uuid         NOT NULL,
    CONSTRAINT purchase_receipt_pkey PRIMARY KEY (receipt),
    CONSTRAINT purchase_receipt_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT purchase_receipt_receipt_check CHECK (length(receipt) > 0),
    CONSTRAINT purchase_receipt_transaction_id_check CHECK (length(transaction_id) > 0)
);
CREATE INDEX IF NOT EXISTS purchase_receipt_user_id_purchase_time_transaction_id_idx
    ON purchase_receipt (user_id, purchase_time DESC, transaction_id);

ALTER TABLE user_device ADD COLUMN IF NOT EXISTS preferences jsonb NOT NULL DEFAULT '{}';
ALTER TABLE user_device ADD COLUMN IF NOT EXISTS push_token_amazon varchar(512) NOT NULL DEFAULT '';
ALTER TABLE user_device ADD COLUMN IF NOT EXISTS push_token_android varchar(512) NOT NULL DEFAULT '';
ALTER TABLE user_device ADD COLUMN IF NOT EXISTS push_token_huawei varchar(512) NOT NULL DEFAULT '';
ALTER TABLE user_device ADD COLUMN IF NOT EXISTS push_token_ios varchar(512) NOT NULL DEFAULT '';
ALTER TABLE user_device ADD COLUMN IF NOT EXISTS push_token_web varchar(512) NOT NULL DEFAULT '';

-- +migrate Down
ALTER TABLE user_device DROP COLUMN IF EXISTS push_token_web;
ALTER TABLE user_device DROP COLUMN IF EXISTS push_token_ios;
ALTER TABLE user_device DROP COLUMN IF EXISTS push_token_huawei;
ALTER TABLE user_device DROP COLUMN IF EXISTS push_token_android;
ALTER TABLE user_device DROP COLUMN IF EXISTS push_token_amazon;
ALTER TABLE user_device DROP COLUMN IF EXISTS preferences;

DROP TABLE IF EXISTS purchase_receipt;
DROP TABLE IF EXISTS console_user;
