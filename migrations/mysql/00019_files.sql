-- +goose Up
CREATE TABLE IF NOT EXISTS files (
    id         BIGINT NOT NULL DEFAULT 0,
    owner_id   BIGINT NOT NULL DEFAULT 0,
    name       VARCHAR(200) NOT NULL DEFAULT '',
    type       VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    size       BIGINT NOT NULL DEFAULT 0,
    sha256     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    width      BIGINT NOT NULL DEFAULT 0,
    height     BIGINT NOT NULL DEFAULT 0,
    state      VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    due_at     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    KEY ix_files_owner (owner_id, size),
    KEY ix_files_due (due_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
