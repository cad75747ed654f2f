-- +goose Up
CREATE TABLE IF NOT EXISTS send_keys (
    sender_id     INTEGER NOT NULL DEFAULT 0,
    client_msg_id TEXT NOT NULL DEFAULT '',
    message_id    INTEGER NOT NULL DEFAULT 0,
    content_hash  BLOB NOT NULL,
    created_at    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sender_id, client_msg_id)
) WITHOUT ROWID;
