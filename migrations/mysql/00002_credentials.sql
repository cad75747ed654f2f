-- +goose Up
CREATE TABLE IF NOT EXISTS credentials (
    user_id    BIGINT NOT NULL DEFAULT 0,
    hash       VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    updated_at BIGINT NOT NULL DEFAULT 0,
    networks   VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    PRIMARY KEY (user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
