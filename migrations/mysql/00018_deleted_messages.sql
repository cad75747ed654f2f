-- +goose Up
CREATE TABLE IF NOT EXISTS deleted_messages (
    user_id          BIGINT NOT NULL DEFAULT 0,
    conversation_id  BIGINT NOT NULL DEFAULT 0,
    conversation_seq BIGINT NOT NULL DEFAULT 0,
    id               BIGINT NOT NULL DEFAULT 0,
    message_id       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, conversation_id, conversation_seq),
    KEY ix_deleted_messages_feed (user_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
