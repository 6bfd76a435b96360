-- Revoked session tokens. They are kept until the tokens would have expired, so that a
-- log-out outlasts a restart of the server.

-- +migrate Up
-- One token by its id (claim tid), which a session token shares with its refresh token.
CREATE TABLE IF NOT EXISTS guildhall.revoked_token (
    user_id     uuid        NOT NULL,
    token_id    text        NOT NULL,
    refresh     boolean     NOT NULL,
    expiry_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT revoked_token_pkey PRIMARY KEY (user_id, token_id, refresh)
);
CREATE INDEX IF NOT EXISTS revoked_token_expiry_time_idx ON guildhall.revoked_token (expiry_time);

-- All tokens of a user that were issued before an instant, in whole seconds as tokens count.
-- After expiry_time no such token is alive and the row may go. The row of the nil user revokes
-- nothing: its expiry_time is that of the longest-lived token of all that were ever given out.
CREATE TABLE IF NOT EXISTS guildhall.revoked_user (
    user_id       uuid        NOT NULL,
    issued_before timestamptz NOT NULL,
    expiry_time   timestamptz NOT NULL,
    CONSTRAINT revoked_user_pkey PRIMARY KEY (user_id)
);
CREATE INDEX IF NOT EXISTS revoked_user_expiry_time_idx ON guildhall.revoked_user (expiry_time);

-- +migrate Down
DROP TABLE IF EXISTS guildhall.revoked_user;
DROP TABLE IF EXISTS guildhall.revoked_token;
