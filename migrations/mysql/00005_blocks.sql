-- +goose Up
CREATE TABLE IF NOT EXISTS blocks (
    user_id    BIGINT NOT NULL DEFAULT 0,
    blocked_id BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, blocked_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
