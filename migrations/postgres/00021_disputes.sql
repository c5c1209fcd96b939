-- +goose Up
-- Disputes of holders. Of one that is erased the texts and the holder are NULL.
CREATE TABLE dispute (
    id               text COLLATE "C" PRIMARY KEY,
    kind             text NOT NULL,
    state            text NOT NULL,
    holder_code      bytea, -- sealed
    holder_code_type text NOT NULL,
    holder_index     bytea, -- keyed digest of code type and code
    subject_index    bytea, -- keyed digest of holder, kind and what is disputed
    licence          text COLLATE "C" NOT NULL,
    type_code        text NOT NULL,
    log_index        bigint NOT NULL,
    authority_name   text NOT NULL,
    authority_code   text NOT NULL,
    division         text NOT NULL,
    statement        bytea, -- sealed
    raised_at        bigint NOT NULL,
    due_at           bigint NOT NULL,
    decided_by       text NOT NULL,
    decided_at       bigint NOT NULL,
    acted            boolean NOT NULL,
    reason           bytea, -- sealed
    closed_by        text NOT NULL,
    closed_at        bigint NOT NULL,
    version          text NOT NULL,
    remedy           bytea  -- sealed
);
CREATE UNIQUE INDEX dispute_unsettled ON dispute (subject_index) WHERE state IN ('open', 'accepted');
CREATE INDEX dispute_holder ON dispute (holder_index, id);
CREATE INDEX dispute_due ON dispute (due_at, id);
CREATE INDEX dispute_overdue ON dispute (due_at) WHERE state IN ('open', 'accepted');
CREATE INDEX dispute_licence ON dispute (licence) WHERE state = 'accepted';

GRANT SELECT, INSERT ON dispute TO elicence_server;
GRANT UPDATE (state, holder_code, holder_index, subject_index, statement, due_at, decided_by, decided_at, acted, reason, closed_by, closed_at, version, remedy)
    ON dispute TO elicence_server;

-- +goose Down
DROP TABLE dispute;
