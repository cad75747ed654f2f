-- +goose Up
CREATE TABLE IF NOT EXISTS messages (
    conversation_id  BIGINT NOT NULL DEFAULT 0,
    conversation_seq BIGINT NOT NULL DEFAULT 0,
    id               BIGINT NOT NULL DEFAULT 0,
    sender_id        BIGINT NOT NULL DEFAULT 0,
    sender_seq       BIGINT NOT NULL DEFAULT 0,
    client_msg_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    type             VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    body             MEDIUMTEXT NOT NULL,
    ext              MEDIUMTEXT NOT NULL,
    reply_to         BIGINT NOT NULL DEFAULT 0,
    created_at       BIGINT NOT NULL DEFAULT 0,
    recalled_at      BIGINT NOT NULL DEFAULT 0,
    mentions         VARCHAR(1200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    PRIMARY KEY (conversation_id, conversation_seq),
    UNIQUE KEY uq_messages_id (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
