-- +goose Up
CREATE TABLE IF NOT EXISTS refresh_tokens (
    hash       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    family_id  BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL DEFAULT 0,
    used_at    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (hash),
    KEY ix_refresh_tokens_expires (expires_at),
    KEY ix_refresh_tokens_family (family_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
