-- Sign-in by Facebook Instant Games.

-- +migrate Up
ALTER TABLE users ADD COLUMN facebook_instant_game_id varchar(128);
ALTER TABLE users ADD CONSTRAINT users_facebook_instant_game_id_key UNIQUE (facebook_instant_game_id);

-- +migrate Down
ALTER TABLE users DROP COLUMN IF EXISTS facebook_instant_game_id;
