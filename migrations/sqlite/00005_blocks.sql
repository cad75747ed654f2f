-- +goose Up
CREATE TABLE IF NOT EXISTS blocks (
    user_id    INTEGER NOT NULL DEFAULT 0,
    blocked_id INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, blocked_id)
) WITHOUT ROWID;
