-- +goose Up
CREATE TABLE IF NOT EXISTS messages (
    conversation_id  INTEGER NOT NULL DEFAULT 0,
    conversation_seq INTEGER NOT NULL DEFAULT 0,
    id               INTEGER NOT NULL DEFAULT 0,
    sender_id        INTEGER NOT NULL DEFAULT 0,
    sender_seq       INTEGER NOT NULL DEFAULT 0,
    client_msg_id    TEXT NOT NULL DEFAULT '',
    type             TEXT NOT NULL DEFAULT '',
    body             TEXT NOT NULL,
    ext              TEXT NOT NULL,
    reply_to         INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL DEFAULT 0,
    recalled_at      INTEGER NOT NULL DEFAULT 0,
    mentions         TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (conversation_id, conversation_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS uq_messages_id ON messages (id);
