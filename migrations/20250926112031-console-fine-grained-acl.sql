-- Console users have an access list in place of a role. Of the roles only the
-- administrator can be told from an access list, so going back makes all others read-only.

-- +migrate Up
ALTER TABLE console_user ADD COLUMN IF NOT EXISTS acl jsonb NOT NULL DEFAULT '{"admin":false}';
UPDATE console_user SET acl = '{"admin":true}' WHERE role = 1;
ALTER TABLE console_user DROP COLUMN IF EXISTS role;

-- +migrate Down
ALTER TABLE console_user ADD COLUMN IF NOT EXISTS role smallint NOT NULL DEFAULT 4;
UPDATE console_user SET role = 1 WHERE acl @> '{"admin":true}';
ALTER TABLE console_user DROP COLUMN IF EXISTS acl;
