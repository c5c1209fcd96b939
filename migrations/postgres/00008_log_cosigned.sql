-- +goose Up
-- Checkpoints of log_checkpoint with the cosignatures of the witnesses' quorum.
CREATE TABLE log_cosigned (
    log_id text NOT NULL,
    size   bigint NOT NULL,
    note   bytea NOT NULL,
    PRIMARY KEY (log_id, size)
);

CREATE TRIGGER log_cosigned_change BEFORE UPDATE OR DELETE ON log_cosigned FOR EACH ROW
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_cosigned_truncate BEFORE TRUNCATE ON log_cosigned
    EXECUTE FUNCTION refuse_change();
