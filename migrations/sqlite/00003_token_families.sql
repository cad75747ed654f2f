-- +goose Up
CREATE TABLE IF NOT EXISTS token_families (
    id          INTEGER NOT NULL PRIMARY KEY,
    user_id     INTEGER NOT NULL DEFAULT 0,
    device_name TEXT NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL DEFAULT 0,
    expires_at  INTEGER NOT NULL DEFAULT 0,
    revoked_at  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS ix_token_families_user ON token_families (user_id);
CREATE INDEX IF NOT EXISTS ix_token_families_revoked ON token_families (revoked_at);
CREATE INDEX IF NOT EXISTS ix_token_families_expires ON token_families (expires_at);
