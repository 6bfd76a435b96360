-- Purchases outlive their user. Second half: the columns and their references.

-- +migrate Up
ALTER TABLE purchase ALTER COLUMN user_id SET NOT NULL;
ALTER TABLE purchase ALTER COLUMN user_id SET DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE purchase ADD CONSTRAINT purchase_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET DEFAULT;

ALTER TABLE subscription ALTER COLUMN user_id SET NOT NULL;
ALTER TABLE subscription ALTER COLUMN user_id SET DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE subscription ADD CONSTRAINT subscription_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET DEFAULT;

-- +migrate Down
ALTER TABLE subscription DROP CONSTRAINT IF EXISTS subscription_user_id_fkey;
ALTER TABLE subscription ALTER COLUMN user_id DROP DEFAULT;
ALTER TABLE subscription ALTER COLUMN user_id DROP NOT NULL;

ALTER TABLE purchase DROP CONSTRAINT IF EXISTS purchase_user_id_fkey;
ALTER TABLE purchase ALTER COLUMN user_id DROP DEFAULT;
ALTER TABLE purchase ALTER COLUMN user_id DROP NOT NULL;
