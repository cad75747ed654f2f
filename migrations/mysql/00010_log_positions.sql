-- +goose Up
CREATE TABLE IF NOT EXISTS log_positions (
    user_id         BIGINT NOT NULL DEFAULT 0,
    device_id       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    conversation_id BIGINT NOT NULL DEFAULT 0,
    acked_seq       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, device_id, conversation_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
