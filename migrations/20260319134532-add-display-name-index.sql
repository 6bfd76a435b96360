-- Search by part of a display name. The index is built without blocking writes, which
-- PostgreSQL does outside of a transaction only. A server without the extension goes
-- without the index (see src/migrate.rs); a search then reads the whole table.

-- +migrate Up notransaction
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_display_name_idx ON users USING gin (display_name gin_trgm_ops);

-- +migrate Down
DROP INDEX IF EXISTS users_display_name_idx;
