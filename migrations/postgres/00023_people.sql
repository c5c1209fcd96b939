-- +goose Up
-- Officials who sign in at an identity provider. Of an issuer and a subject one is not disabled.
CREATE TABLE person (
    id             text COLLATE "C" PRIMARY KEY,
    issuer         text NOT NULL,
    subject        bytea NOT NULL, -- sealed
    subject_index  bytea NOT NULL, -- keyed digest of issuer and subject
    name           bytea NOT NULL, -- sealed
    roles          text NOT NULL,  -- JSON array
    authority_name text NOT NULL,
    authority_code text NOT NULL,
    division       text NOT NULL,
    types          text NOT NULL,  -- JSON array
    active_from    bigint NOT NULL,
    active_until   bigint NOT NULL,
    disabled       boolean NOT NULL
);
CREATE INDEX person_known ON person (subject_index);
CREATE UNIQUE INDEX person_subject ON person (subject_index) WHERE NOT disabled;
GRANT SELECT, INSERT ON person TO elicence_server;
GRANT UPDATE (disabled) ON person TO elicence_server;

-- The person who answers for a client, and those who requested, approved and withdrew a grant.
ALTER TABLE client ADD COLUMN person text NOT NULL DEFAULT '';
CREATE INDEX client_person ON client (person) WHERE person <> '';
ALTER TABLE reuse_grant ADD COLUMN requested_person text NOT NULL DEFAULT '';
ALTER TABLE reuse_grant ADD COLUMN approved_person text NOT NULL DEFAULT '';
ALTER TABLE reuse_grant ADD COLUMN withdrawn_person text NOT NULL DEFAULT '';
GRANT UPDATE (approved_person, withdrawn_person) ON reuse_grant TO elicence_server;

-- +goose Down
ALTER TABLE reuse_grant DROP COLUMN withdrawn_person;
ALTER TABLE reuse_grant DROP COLUMN approved_person;
ALTER TABLE reuse_grant DROP COLUMN requested_person;
DROP INDEX client_person;
ALTER TABLE client DROP COLUMN person;
DROP TABLE person;
