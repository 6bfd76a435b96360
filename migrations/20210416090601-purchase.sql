-- Purchases by transaction, in place of purchases by receipt.

-- +migrate Up
DROP TABLE IF EXISTS purchase_receipt;

-- environment: 0 unknown, 1 sandbox, 2 production.
-- store: 0 Apple, 1 Google, 2 Huawei, 3 Facebook Instant, 4 Samsung.
CREATE TABLE IF NOT EXISTS purchase (
    create_time    timestamptz  NOT NULL DEFAULT now(),
    environment    smallint     NOT NULL DEFAULT 0,
    product_id     varchar(512) NOT NULL,
    purchase_time  timestamptz  NOT NULL DEFAULT now(),
    raw_response   jsonb        NOT NULL DEFAULT '{}',
    store          smallint     NOT NULL DEFAULT 0,
    transaction_id varchar(512) NOT NULL,
    update_time    timestamptz  NOT NULL DEFAULT now(),
    user_id        uuid,
    CONSTRAINT purchase_pkey PRIMARY KEY (transaction_id),
    CONSTRAINT purchase_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT purchase_transaction_id_check CHECK (length(transaction_id) > 0)
);
CREATE INDEX IF NOT EXISTS purchase_user_id_purchase_time_transaction_id_idx
    ON purchase (user_id, purchase_time DESC, transaction_id);

-- +migrate Down
DROP TABLE IF EXISTS purchase;

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
    CONSTRAINT purchase_receipt_receipt_check CHECK (length(receipt) > 0),
    CONSTRAINT purchase_receipt_transaction_id_check CHECK (length(transaction_id) > 0)
);
CREATE INDEX IF NOT EXISTS purchase_receipt_user_id_purchase_time_transaction_id_idx
    ON purchase_receipt (user_id, purchase_time DESC, transaction_id);
