-- Up to when the ends and resets of leaderboards and tournaments were seen to, so that what falls
-- due while no server runs is called for once, at the next start.

-- +migrate Up
CREATE TABLE IF NOT EXISTS guildhall.leaderboard_call (
    leaderboard_id text        NOT NULL,
    -- 0 the end of a tournament's period, 1 a reset.
    event          smallint    NOT NULL,
    settled_time   timestamptz NOT NULL,
    CONSTRAINT leaderboard_call_pkey PRIMARY KEY (leaderboard_id, event)
);

-- What was due before this table is not called for any more.
INSERT INTO guildhall.leaderboard_call (leaderboard_id, event, settled_time)
VALUES ('', 0, now())
ON CONFLICT (leaderboard_id, event) DO NOTHING;

-- +migrate Down
DROP TABLE IF EXISTS guildhall.leaderboard_call;
