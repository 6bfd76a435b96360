-- What the store said about a subscription, and refunds.

-- +migrate Up
ALTER TABLE subscription ADD COLUMN IF NOT EXISTS raw_response jsonb NOT NULL DEFAULT '{}';
ALTER TABLE subscription ADD COLUMN IF NOT EXISTS raw_notification jsonb NOT NULL DEFAULT '{}';
ALTER TABLE subscription
    ADD COLUMN IF NOT EXISTS refund_time timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00';
ALTER TABLE purchase
    ADD COLUMN IF NOT EXISTS refund_time timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00';

-- +migrate Down
ALTER TABLE purchase DROP COLUMN IF EXISTS refund_time;
ALTER TABLE subscription DROP COLUMN IF EXISTS refund_time;
ALTER TABLE subscription DROP COLUMN IF EXISTS raw_notification;
ALTER TABLE subscription DROP COLUMN IF EXISTS raw_response;
