-- +goose Up
CREATE TABLE IF NOT EXISTS members (
    conversation_id BIGINT NOT NULL DEFAULT 0,
    user_id         BIGINT NOT NULL DEFAULT 0,
    role            VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    joined_seq      BIGINT NOT NULL DEFAULT 0,
    left_seq        BIGINT NOT NULL DEFAULT 0,
    delivered_seq   BIGINT NOT NULL DEFAULT 0,
    read_seq        BIGINT NOT NULL DEFAULT 0,
    muted_until     BIGINT NOT NULL DEFAULT 0,
    muted           BIGINT NOT NULL DEFAULT 0,
    pinned          BIGINT NOT NULL DEFAULT 0,
    hidden_seq      BIGINT NOT NULL DEFAULT 0,
    joined_at       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id),
    KEY ix_members_user (user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
