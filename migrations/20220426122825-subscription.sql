-- Subscriptions, one row for each original transaction.

-- +migrate Up
CREATE TABLE IF NOT EXISTS subscription (
    original_transaction_id varchar(512) NOT NULL,
    create_time             timestamptz  NOT NULL DEFAULT now(),
    update_time             timestamptz  NOT NULL DEFAULT now(),
    environment             smallint     NOT NULL DEFAULT 0,
    product_id              varchar(512) NOT NULL,
    purchase_time           timestamptz  NOT NULL DEFAULT now(),
    store                   smallint     NOT NULL DEFAULT 0,
    user_id                 uuid,
    expire_time             timestamptz  NOT NULL,
    CONSTRAINT subscription_pkey PRIMARY KEY (original_transaction_id),
    CONSTRAINT subscription_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT subscription_original_transaction_id_check CHECK (length(original_transaction_id) > 0)
);
CREATE INDEX IF NOT EXISTS subscription_user_id_purchase_time_transaction_id_idx
    ON subscription (user_id, purchase_time DESC, original_transaction_id);

-- +migrate Down
DROP TABLE IF EXISTS subscription;
