-- +goose Up
CREATE TABLE IF NOT EXISTS deleted_messages (
    user_id          INTEGER NOT NULL DEFAULT 0,
    conversation_id  INTEGER NOT NULL DEFAULT 0,
    conversation_seq INTEGER NOT NULL DEFAULT 0,
    id               INTEGER NOT NULL DEFAULT 0,
    message_id       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, conversation_id, conversation_seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_deleted_messages_feed ON deleted_messages (user_id, id);
