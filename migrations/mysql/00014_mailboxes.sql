-- +goose Up
CREATE TABLE IF NOT EXISTS mailboxes (
    user_id          BIGINT NOT NULL DEFAULT 0,
    seq              BIGINT NOT NULL DEFAULT 0,
    message_id       BIGINT NOT NULL DEFAULT 0,
    conversation_id  BIGINT NOT NULL DEFAULT 0,
    conversation_seq BIGINT NOT NULL DEFAULT 0,
    sender_id        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
