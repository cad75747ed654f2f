-- +goose Up
CREATE TABLE IF NOT EXISTS selective_acks (
    user_id   BIGINT NOT NULL DEFAULT 0,
    device_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    seq       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, device_id, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
