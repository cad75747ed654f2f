-- +goose Up
CREATE TABLE IF NOT EXISTS mailboxes (
    user_id          INTEGER NOT NULL DEFAULT 0,
    seq              INTEGER NOT NULL DEFAULT 0,
    message_id       INTEGER NOT NULL DEFAULT 0,
    conversation_id  INTEGER NOT NULL DEFAULT 0,
    conversation_seq INTEGER NOT NULL DEFAULT 0,
    sender_id        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, seq)
) WITHOUT ROWID;
