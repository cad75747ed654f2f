-- +goose Up
CREATE TABLE IF NOT EXISTS conversations (
    id              BIGINT NOT NULL DEFAULT 0,
    kind            VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    name            VARCHAR(128) NOT NULL DEFAULT '',
    avatar_url      VARCHAR(512) NOT NULL DEFAULT '',
    announcement    VARCHAR(2000) NOT NULL DEFAULT '',
    owner_id        BIGINT NOT NULL DEFAULT 0,
    low_user_id     BIGINT NULL,
    high_user_id    BIGINT NULL,
    delivery        VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    head            BIGINT NOT NULL DEFAULT 0,
    members_version BIGINT NOT NULL DEFAULT 0,
    member_count    BIGINT NOT NULL DEFAULT 0,
    mute_all        BIGINT NOT NULL DEFAULT 0,
    history         VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'joined',
    dissolved_at    BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL DEFAULT 0,
    updated_at      BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    UNIQUE KEY uq_conversations_pair (low_user_id, high_user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
