-- +goose Up
CREATE TABLE IF NOT EXISTS mentions (
    conversation_id  BIGINT NOT NULL DEFAULT 0,
    user_id          BIGINT NOT NULL DEFAULT 0,
    conversation_seq BIGINT NOT NULL DEFAULT 0,
    sender_id        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id, conversation_seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
