-- +goose Up
CREATE TABLE IF NOT EXISTS conversations (
    id              INTEGER NOT NULL PRIMARY KEY,
    kind            TEXT NOT NULL DEFAULT '',
    name            TEXT NOT NULL DEFAULT '',
    avatar_url      TEXT NOT NULL DEFAULT '',
    announcement    TEXT NOT NULL DEFAULT '',
    owner_id        INTEGER NOT NULL DEFAULT 0,
    low_user_id     INTEGER NULL,
    high_user_id    INTEGER NULL,
    delivery        TEXT NOT NULL DEFAULT '',
    head            INTEGER NOT NULL DEFAULT 0,
    members_version INTEGER NOT NULL DEFAULT 0,
    member_count    INTEGER NOT NULL DEFAULT 0,
    mute_all        INTEGER NOT NULL DEFAULT 0,
    history         TEXT NOT NULL DEFAULT 'joined',
    dissolved_at    INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL DEFAULT 0,
    updated_at      INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS uq_conversations_pair ON conversations (low_user_id, high_user_id);
