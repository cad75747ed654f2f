-- +goose Up
CREATE TABLE IF NOT EXISTS mentions (
    conversation_id  INTEGER NOT NULL DEFAULT 0,
    user_id          INTEGER NOT NULL DEFAULT 0,
    conversation_seq INTEGER NOT NULL DEFAULT 0,
    sender_id        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id, conversation_seq)
) WITHOUT ROWID;
