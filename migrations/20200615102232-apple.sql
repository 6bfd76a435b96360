-- Sign-in with Apple.

-- +migrate Up
ALTER TABLE users ADD COLUMN apple_id varchar(128);
ALTER TABLE users ADD CONSTRAINT users_apple_id_key UNIQUE (apple_id);

-- +migrate Down
ALTER TABLE users DROP COLUMN IF EXISTS apple_id;
