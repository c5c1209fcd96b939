-- +goose Up
-- Disputes of holders. Of one that is erased the texts and the holder are NULL.
CREATE TABLE dispute (
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL,
    state            TEXT NOT NULL,
    holder_code      BLOB, -- sealed
    holder_code_type TEXT NOT NULL,
    holder_index     BLOB, -- keyed digest of code type and code
    subject_index    BLOB, -- keyed digest of holder, kind and what is disputed
    licence          TEXT NOT NULL,
    type_code        TEXT NOT NULL,
    log_index        INTEGER NOT NULL,
    authority_name   TEXT NOT NULL,
    authority_code   TEXT NOT NULL,
    division         TEXT NOT NULL,
    statement        BLOB, -- sealed
    raised_at        INTEGER NOT NULL,
    due_at           INTEGER NOT NULL,
    decided_by       TEXT NOT NULL,
    decided_at       INTEGER NOT NULL,
    acted            INTEGER NOT NULL,
    reason           BLOB, -- sealed
    closed_by        TEXT NOT NULL,
    closed_at        INTEGER NOT NULL,
    version          TEXT NOT NULL,
    remedy           BLOB  -- sealed
) STRICT;
CREATE UNIQUE INDEX dispute_unsettled ON dispute (subject_index) WHERE state IN ('open', 'accepted');
CREATE INDEX dispute_holder ON dispute (holder_index, id);
CREATE INDEX dispute_due ON dispute (due_at, id);
CREATE INDEX dispute_overdue ON dispute (due_at) WHERE state IN ('open', 'accepted');
CREATE INDEX dispute_licence ON dispute (licence) WHERE state = 'accepted';

-- +goose Down
DROP TABLE dispute;
