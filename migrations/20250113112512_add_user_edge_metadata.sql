-- Metadata on an edge between two users.

-- +migrate Up
ALTER TABLE user_edge ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';

-- +migrate Down
ALTER TABLE user_edge DROP COLUMN metadata;
