-- +goose Up
CREATE TABLE IF NOT EXISTS credentials (
    user_id    INTEGER NOT NULL PRIMARY KEY,
    hash       TEXT NOT NULL DEFAULT '',
    updated_at INTEGER NOT NULL DEFAULT 0,
    networks   TEXT NOT NULL DEFAULT ''
);
