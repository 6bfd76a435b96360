-- Tournaments: leaderboards with a duration, a schedule and entry rules.

-- +migrate Up
ALTER TABLE leaderboard ADD COLUMN category smallint NOT NULL DEFAULT 0;
ALTER TABLE leaderboard ADD COLUMN description varchar(255) NOT NULL DEFAULT '';
ALTER TABLE leaderboard ADD COLUMN duration integer NOT NULL DEFAULT 0;
ALTER TABLE leaderboard ADD COLUMN end_time timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00';
ALTER TABLE leaderboard ADD COLUMN join_required boolean NOT NULL DEFAULT false;
ALTER TABLE leaderboard ADD COLUMN max_size integer NOT NULL DEFAULT 100000000;
ALTER TABLE leaderboard ADD COLUMN max_num_score integer NOT NULL DEFAULT 1000000;
ALTER TABLE leaderboard ADD COLUMN title varchar(255) NOT NULL DEFAULT '';
ALTER TABLE leaderboard ADD COLUMN size integer NOT NULL DEFAULT 0;
ALTER TABLE leaderboard ADD COLUMN start_time timestamptz NOT NULL DEFAULT now();
ALTER TABLE leaderboard ADD CONSTRAINT leaderboard_category_check CHECK (category >= 0);
ALTER TABLE leaderboard ADD CONSTRAINT leaderboard_duration_check CHECK (duration >= 0);
ALTER TABLE leaderboard ADD CONSTRAINT leaderboard_max_size_check CHECK (max_size > 0);
ALTER TABLE leaderboard ADD CONSTRAINT leaderboard_max_num_score_check CHECK (max_num_score > 0);

ALTER TABLE leaderboard_record ADD COLUMN max_num_score integer NOT NULL DEFAULT 1000000;
ALTER TABLE leaderboard_record ADD CONSTRAINT leaderboard_record_max_num_score_check CHECK (max_num_score > 0);

CREATE INDEX IF NOT EXISTS duration_start_time_end_time_category_idx
    ON leaderboard (duration, start_time, end_time DESC, category);
CREATE INDEX IF NOT EXISTS owner_id_expiry_time_leaderboard_id_idx
    ON leaderboard_record (owner_id, expiry_time, leaderboard_id);

-- +migrate Down
DROP INDEX IF EXISTS owner_id_expiry_time_leaderboard_id_idx;
DROP INDEX IF EXISTS duration_start_time_end_time_category_idx;

ALTER TABLE leaderboard_record DROP COLUMN IF EXISTS max_num_score;

ALTER TABLE leaderboard DROP COLUMN IF EXISTS start_time;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS size;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS title;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS max_num_score;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS max_size;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS join_required;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS end_time;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS duration;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS description;
ALTER TABLE leaderboard DROP COLUMN IF EXISTS category;
