-- +goose Up
CREATE TABLE IF NOT EXISTS announcement_readers (
    user_id    INTEGER NOT NULL PRIMARY KEY,
    joined_seq INTEGER NOT NULL DEFAULT 0,
    read_seq   INTEGER NOT NULL DEFAULT 0,
    muted      INTEGER NOT NULL DEFAULT 0,
    pinned     INTEGER NOT NULL DEFAULT 0,
    hidden_seq INTEGER NOT NULL DEFAULT 0
);
