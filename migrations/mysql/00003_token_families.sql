-- +goose Up
CREATE TABLE IF NOT EXISTS token_families (
    id          BIGINT NOT NULL DEFAULT 0,
    user_id     BIGINT NOT NULL DEFAULT 0,
    device_name VARCHAR(128) NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL DEFAULT 0,
    expires_at  BIGINT NOT NULL DEFAULT 0,
    revoked_at  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    KEY ix_token_families_user (user_id),
    KEY ix_token_families_revoked (revoked_at),
    KEY ix_token_families_expires (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
