-- +goose Up
CREATE TABLE IF NOT EXISTS file_refs (
    file_id          INTEGER NOT NULL DEFAULT 0,
    conversation_id  INTEGER NOT NULL DEFAULT 0,
    conversation_seq INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (file_id, conversation_id, conversation_seq)
) WITHOUT ROWID;
