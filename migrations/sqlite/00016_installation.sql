-- +goose Up
CREATE TABLE IF NOT EXISTS installation (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL DEFAULT '',
    restored TEXT NOT NULL DEFAULT '',
    ids_above INTEGER NOT NULL DEFAULT 0
);
