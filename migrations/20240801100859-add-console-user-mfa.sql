-- A second factor for console users.

-- +migrate Up
ALTER TABLE console_user ADD COLUMN mfa_secret bytea;
ALTER TABLE console_user ADD COLUMN mfa_recovery_codes bytea;
ALTER TABLE console_user ADD COLUMN mfa_required boolean DEFAULT false;

-- +migrate Down
ALTER TABLE console_user DROP COLUMN mfa_required;
ALTER TABLE console_user DROP COLUMN mfa_recovery_codes;
ALTER TABLE console_user DROP COLUMN mfa_secret;
