-- Settings of the console, by name.

-- +migrate Up
CREATE TABLE IF NOT EXISTS setting (
    name        varchar(64) NOT NULL,
    value       jsonb       NOT NULL DEFAULT '{}',
    update_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT setting_name_uniq PRIMARY KEY (name),
    CONSTRAINT setting_name_check CHECK (length(name) > 0)
);

INSERT INTO setting (name, value) VALUES ('utc_toggle', 'false') ON CONFLICT (name) DO NOTHING;

-- +migrate Down
DROP TABLE IF EXISTS setting;
