-- +goose Up
CREATE TABLE IF NOT EXISTS audit_log (
    id          BIGINT NOT NULL DEFAULT 0,
    at          BIGINT NOT NULL DEFAULT 0,
    actor_id    BIGINT NOT NULL DEFAULT 0,
    actor       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    action      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    target_kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    target_id   VARCHAR(128) NOT NULL DEFAULT '',
    detail      VARCHAR(2048) NOT NULL DEFAULT '',
    address     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    node        BIGINT NOT NULL DEFAULT 0,
    outcome     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    PRIMARY KEY (id),
    KEY ix_audit_log_at (at, id),
    KEY ix_audit_log_actor (actor_id, at, id),
    KEY ix_audit_log_action (action, at, id),
    KEY ix_audit_log_target (target_kind, target_id, at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
