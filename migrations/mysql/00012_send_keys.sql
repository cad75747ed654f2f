-- +goose Up
CREATE TABLE IF NOT EXISTS send_keys (
    sender_id     BIGINT NOT NULL DEFAULT 0,
    client_msg_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    message_id    BIGINT NOT NULL DEFAULT 0,
    content_hash  BINARY(16) NOT NULL,
    created_at    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (sender_id, client_msg_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
