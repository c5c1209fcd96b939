-- +goose Up
-- Checkpoints of log_checkpoint with the cosignatures of the witnesses' quorum.
CREATE TABLE log_cosigned (
    log_id TEXT NOT NULL,
    size   INTEGER NOT NULL,
    note   BLOB NOT NULL,
    PRIMARY KEY (log_id, size)
);

-- +goose StatementBegin
CREATE TRIGGER log_cosigned_update BEFORE UPDATE ON log_cosigned
BEGIN
    SELECT RAISE(ABORT, 'log_cosigned is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_cosigned_delete BEFORE DELETE ON log_cosigned
BEGIN
    SELECT RAISE(ABORT, 'log_cosigned is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_cosigned_insert BEFORE INSERT ON log_cosigned
WHEN EXISTS (SELECT 1 FROM log_cosigned WHERE log_id = NEW.log_id AND size = NEW.size)
BEGIN
    SELECT RAISE(ABORT, 'log_cosigned is append-only: this size is taken');
END;
-- +goose StatementEnd
