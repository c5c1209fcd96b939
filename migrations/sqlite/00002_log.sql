-- +goose Up
-- Not STRICT: a row changed by hand must stay readable as it is, so that an
-- export shows the change to the auditor.
CREATE TABLE log_entry (
    log_id  TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    record  BLOB NOT NULL,
    leaf    BLOB NOT NULL,
    opening BLOB, -- sealed; NULL when there is none or it was erased
    PRIMARY KEY (log_id, "index")
);

CREATE TABLE log_checkpoint (
    log_id        TEXT NOT NULL,
    size          INTEGER NOT NULL,
    last_leaf     BLOB NOT NULL,
    compact_range BLOB NOT NULL, -- hashes of 32 bytes, one after the other
    note          BLOB NOT NULL,
    PRIMARY KEY (log_id, size)
);

-- +goose StatementBegin
CREATE TRIGGER log_entry_update BEFORE UPDATE ON log_entry
WHEN NOT (NEW.opening IS NULL AND NEW.log_id IS OLD.log_id AND NEW."index" IS OLD."index"
    AND NEW.record IS OLD.record AND NEW.leaf IS OLD.leaf)
BEGIN
    SELECT RAISE(ABORT, 'log_entry is append-only: only an opening may be erased');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_entry_delete BEFORE DELETE ON log_entry
BEGIN
    SELECT RAISE(ABORT, 'log_entry is append-only');
END;
-- +goose StatementEnd

-- INSERT OR REPLACE deletes without firing the trigger above.
-- +goose StatementBegin
CREATE TRIGGER log_entry_insert BEFORE INSERT ON log_entry
WHEN EXISTS (SELECT 1 FROM log_entry WHERE log_id = NEW.log_id AND "index" = NEW."index")
BEGIN
    SELECT RAISE(ABORT, 'log_entry is append-only: this index is taken');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_checkpoint_update BEFORE UPDATE ON log_checkpoint
BEGIN
    SELECT RAISE(ABORT, 'log_checkpoint is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_checkpoint_delete BEFORE DELETE ON log_checkpoint
BEGIN
    SELECT RAISE(ABORT, 'log_checkpoint is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_checkpoint_insert BEFORE INSERT ON log_checkpoint
WHEN EXISTS (SELECT 1 FROM log_checkpoint WHERE log_id = NEW.log_id AND size = NEW.size)
BEGIN
    SELECT RAISE(ABORT, 'log_checkpoint is append-only: this size is taken');
END;
-- +goose StatementEnd
