-- +goose Up
CREATE TABLE IF NOT EXISTS file_refs (
    file_id          BIGINT NOT NULL DEFAULT 0,
    conversation_id  BIGINT NOT NULL DEFAULT 0,
    conversation_seq BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (file_id, conversation_id, conversation_seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
