-- Purchases outlive their user: they pass to the system user instead of to nobody.
-- First half: the rows.

-- +migrate Up
ALTER TABLE purchase DROP CONSTRAINT IF EXISTS purchase_user_id_fkey;
ALTER TABLE subscription DROP CONSTRAINT IF EXISTS subscription_user_id_fkey;

UPDATE purchase SET user_id = '00000000-0000-0000-0000-000000000000' WHERE user_id IS NULL;
UPDATE subscription SET user_id = '00000000-0000-0000-0000-000000000000' WHERE user_id IS NULL;

-- +migrate Down
UPDATE subscription SET user_id = NULL WHERE user_id = '00000000-0000-0000-0000-000000000000';
UPDATE purchase SET user_id = NULL WHERE user_id = '00000000-0000-0000-0000-000000000000';

ALTER TABLE subscription ADD CONSTRAINT subscription_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE purchase ADD CONSTRAINT purchase_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL;
