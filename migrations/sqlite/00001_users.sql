-- +goose Up
CREATE TABLE IF NOT EXISTS users (
    id           INTEGER NOT NULL PRIMARY KEY,
    username     TEXT NOT NULL DEFAULT '',
    display_name TEXT NOT NULL DEFAULT '',
    avatar_url   TEXT NOT NULL DEFAULT '',
    role         TEXT NOT NULL DEFAULT '',
    banned_at    INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL DEFAULT 0,
    direct_messages TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS uq_users_username ON users (username);
CREATE INDEX IF NOT EXISTS ix_users_role ON users (role, id);
CREATE INDEX IF NOT EXISTS ix_users_created ON users (created_at, id);
CREATE INDEX IF NOT EXISTS ix_users_banned ON users (banned_at);
