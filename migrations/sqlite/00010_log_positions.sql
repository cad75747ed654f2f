-- +goose Up
CREATE TABLE IF NOT EXISTS log_positions (
    user_id         INTEGER NOT NULL DEFAULT 0,
    device_id       TEXT NOT NULL DEFAULT '',
    conversation_id INTEGER NOT NULL DEFAULT 0,
    acked_seq       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, device_id, conversation_id)
) WITHOUT ROWID;
