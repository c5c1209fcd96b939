-- +goose Up
-- Officials who sign in at an identity provider. Of an issuer and a subject one is not disabled.
CREATE TABLE person (
    id             TEXT PRIMARY KEY,
    issuer         TEXT NOT NULL,
    subject        BLOB NOT NULL, -- sealed
    subject_index  BLOB NOT NULL, -- keyed digest of issuer and subject
    name           BLOB NOT NULL, -- sealed
    roles          TEXT NOT NULL,  -- JSON array
    authority_name TEXT NOT NULL,
    authority_code TEXT NOT NULL,
    division       TEXT NOT NULL,
    types          TEXT NOT NULL,  -- JSON array
    active_from    INTEGER NOT NULL,
    active_until   INTEGER NOT NULL,
    disabled       INTEGER NOT NULL
) STRICT;
CREATE INDEX person_known ON person (subject_index);
CREATE UNIQUE INDEX person_subject ON person (subject_index) WHERE disabled = 0;

-- The person who answers for a client, and those who requested, approved and withdrew a grant.
ALTER TABLE client ADD COLUMN person TEXT NOT NULL DEFAULT '';
CREATE INDEX client_person ON client (person) WHERE person <> '';
ALTER TABLE reuse_grant ADD COLUMN requested_person TEXT NOT NULL DEFAULT '';
ALTER TABLE reuse_grant ADD COLUMN approved_person TEXT NOT NULL DEFAULT '';
ALTER TABLE reuse_grant ADD COLUMN withdrawn_person TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE reuse_grant DROP COLUMN withdrawn_person;
ALTER TABLE reuse_grant DROP COLUMN approved_person;
ALTER TABLE reuse_grant DROP COLUMN requested_person;
DROP INDEX client_person;
ALTER TABLE client DROP COLUMN person;
DROP TABLE person;
