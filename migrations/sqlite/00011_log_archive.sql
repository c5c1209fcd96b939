-- +goose Up
-- Ranges of the log whose entries lie in files.
CREATE TABLE log_segment (
    log_id     TEXT NOT NULL,
    from_index INTEGER NOT NULL,
    to_index   INTEGER NOT NULL, -- not included
    name       TEXT NOT NULL,    -- of the file
    digest     BLOB NOT NULL,    -- SM3 of the file
    last_at    INTEGER NOT NULL, -- time of the last entry
    approvers  TEXT NOT NULL,    -- verifier keys by the end of the range, a line each
    PRIMARY KEY (log_id, from_index)
) STRICT, WITHOUT ROWID;

-- What stays of archived entries: their leaves, one after the other, 64 to a row, from
-- which proofs are made; and their openings, until these are erased.
CREATE TABLE log_leaves (
    log_id  TEXT NOT NULL,
    "index" INTEGER NOT NULL, -- of the first leaf, a multiple of 64
    leaves  BLOB NOT NULL,
    PRIMARY KEY (log_id, "index")
) STRICT;
CREATE TABLE log_opening (
    log_id  TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    opening BLOB, -- sealed as in log_entry; NULL when it was erased
    PRIMARY KEY (log_id, "index")
) STRICT, WITHOUT ROWID;

-- A row may go when a segment covers it and its leaf and opening are kept.
DROP TRIGGER log_entry_delete;
-- +goose StatementBegin
CREATE TRIGGER log_entry_delete BEFORE DELETE ON log_entry
WHEN NOT (
    EXISTS (SELECT 1 FROM log_segment WHERE log_id = OLD.log_id
        AND from_index <= OLD."index" AND to_index > OLD."index")
    AND OLD.leaf IS (SELECT substr(leaves, OLD."index" % 64 * 32 + 1, 32) FROM log_leaves
        WHERE log_id = OLD.log_id AND "index" = OLD."index" / 64 * 64)
    AND OLD.opening IS (SELECT opening FROM log_opening WHERE log_id = OLD.log_id AND "index" = OLD."index"))
BEGIN
    SELECT RAISE(ABORT, 'log_entry is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_segment_update BEFORE UPDATE ON log_segment
BEGIN
    SELECT RAISE(ABORT, 'log_segment is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_segment_delete BEFORE DELETE ON log_segment
BEGIN
    SELECT RAISE(ABORT, 'log_segment is append-only');
END;
-- +goose StatementEnd

-- Segments join: each begins where the one before it ends.
-- +goose StatementBegin
CREATE TRIGGER log_segment_insert BEFORE INSERT ON log_segment
WHEN NEW.from_index <> coalesce((SELECT max(to_index) FROM log_segment WHERE log_id = NEW.log_id), 0)
    OR NEW.to_index <= NEW.from_index
BEGIN
    SELECT RAISE(ABORT, 'log_segment is append-only: this range is taken, or does not join');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_leaves_update BEFORE UPDATE ON log_leaves
BEGIN
    SELECT RAISE(ABORT, 'log_leaves is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_leaves_delete BEFORE DELETE ON log_leaves
BEGIN
    SELECT RAISE(ABORT, 'log_leaves is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_leaves_insert BEFORE INSERT ON log_leaves
WHEN EXISTS (SELECT 1 FROM log_leaves WHERE log_id = NEW.log_id AND "index" = NEW."index")
BEGIN
    SELECT RAISE(ABORT, 'log_leaves is append-only: this index is taken');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_opening_update BEFORE UPDATE ON log_opening
WHEN NOT (NEW.opening IS NULL AND NEW.log_id IS OLD.log_id AND NEW."index" IS OLD."index")
BEGIN
    SELECT RAISE(ABORT, 'log_opening is append-only: only an opening may be erased');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_opening_delete BEFORE DELETE ON log_opening
BEGIN
    SELECT RAISE(ABORT, 'log_opening is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_opening_insert BEFORE INSERT ON log_opening
WHEN EXISTS (SELECT 1 FROM log_opening WHERE log_id = NEW.log_id AND "index" = NEW."index")
BEGIN
    SELECT RAISE(ABORT, 'log_opening is append-only: this index is taken');
END;
-- +goose StatementEnd
