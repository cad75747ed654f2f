-- +goose Up
CREATE TABLE IF NOT EXISTS audit_log (
    id          INTEGER NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL DEFAULT 0,
    actor_id    INTEGER NOT NULL DEFAULT 0,
    actor       TEXT NOT NULL DEFAULT '',
    action      TEXT NOT NULL DEFAULT '',
    target_kind TEXT NOT NULL DEFAULT '',
    target_id   TEXT NOT NULL DEFAULT '',
    detail      TEXT NOT NULL DEFAULT '',
    address     TEXT NOT NULL DEFAULT '',
    node        INTEGER NOT NULL DEFAULT 0,
    outcome     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS ix_audit_log_at ON audit_log (at, id);
CREATE INDEX IF NOT EXISTS ix_audit_log_actor ON audit_log (actor_id, at, id);
CREATE INDEX IF NOT EXISTS ix_audit_log_action ON audit_log (action, at, id);
CREATE INDEX IF NOT EXISTS ix_audit_log_target ON audit_log (target_kind, target_id, at, id);
