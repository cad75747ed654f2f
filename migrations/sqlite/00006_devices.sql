-- +goose Up
CREATE TABLE IF NOT EXISTS devices (
    user_id       INTEGER NOT NULL DEFAULT 0,
    device_id     TEXT NOT NULL DEFAULT '',
    acked_seq     INTEGER NOT NULL DEFAULT 0,
    receipts_from INTEGER NOT NULL DEFAULT 0,
    last_seen_at  INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL DEFAULT 0,
    family_id     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, device_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_devices_last_seen ON devices (last_seen_at);
