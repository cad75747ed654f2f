-- +goose Up
CREATE TABLE IF NOT EXISTS selective_acks (
    user_id   INTEGER NOT NULL DEFAULT 0,
    device_id TEXT NOT NULL DEFAULT '',
    seq       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, device_id, seq)
) WITHOUT ROWID;
