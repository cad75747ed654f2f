-- +goose Up
CREATE TABLE IF NOT EXISTS nodes (
    id         INTEGER NOT NULL PRIMARY KEY,
    holder     TEXT NOT NULL DEFAULT '',
    address    TEXT NOT NULL DEFAULT '',
    ids_until  INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER NOT NULL DEFAULT 0
);
