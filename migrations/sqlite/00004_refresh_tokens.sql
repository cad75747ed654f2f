-- +goose Up
CREATE TABLE IF NOT EXISTS refresh_tokens (
    hash       TEXT NOT NULL DEFAULT '',
    family_id  INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL DEFAULT 0,
    used_at    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hash)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_refresh_tokens_expires ON refresh_tokens (expires_at);
CREATE INDEX IF NOT EXISTS ix_refresh_tokens_family ON refresh_tokens (family_id);
