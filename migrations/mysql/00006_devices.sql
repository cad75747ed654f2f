-- +goose Up
CREATE TABLE IF NOT EXISTS devices (
    user_id       BIGINT NOT NULL DEFAULT 0,
    device_id     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    acked_seq     BIGINT NOT NULL DEFAULT 0,
    receipts_from BIGINT NOT NULL DEFAULT 0,
    last_seen_at  BIGINT NOT NULL DEFAULT 0,
    created_at    BIGINT NOT NULL DEFAULT 0,
    family_id     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, device_id),
    KEY ix_devices_last_seen (last_seen_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
