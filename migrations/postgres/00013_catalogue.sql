-- +goose Up
-- Versions of licence types. A row's stage moves from draft to published to retired; what
-- a version is made of never changes.
CREATE TABLE catalogue_version (
    type_code   text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    stage       text NOT NULL,
    name        text NOT NULL,
    digest      bytea NOT NULL,  -- of all its files
    imported_by text NOT NULL,
    imported_at bigint NOT NULL,
    changed_by  text NOT NULL,
    changed_at  bigint NOT NULL,
    reason      text NOT NULL,   -- of the last change
    change      bigint NOT NULL, -- counts the changes of the whole catalogue
    PRIMARY KEY (type_code, version)
);
CREATE UNIQUE INDEX catalogue_version_published ON catalogue_version (type_code) WHERE stage = 'published';
CREATE INDEX catalogue_version_change ON catalogue_version (change);

CREATE TABLE catalogue_file (
    type_code text COLLATE "C" NOT NULL,
    version   bigint NOT NULL,
    name      text COLLATE "C" NOT NULL,
    content   bytea NOT NULL,
    PRIMARY KEY (type_code, version, name),
    FOREIGN KEY (type_code, version) REFERENCES catalogue_version (type_code, version)
);

-- The version of its type that a licence was made by; 0: what the program shipped before
-- the catalogue was kept here.
ALTER TABLE licence ADD COLUMN catalogue_version bigint NOT NULL DEFAULT 0;
CREATE INDEX licence_newest ON licence (type_code, created_at);

GRANT SELECT, INSERT ON catalogue_version, catalogue_file TO elicence_server;
GRANT UPDATE (stage, changed_by, changed_at, reason, change) ON catalogue_version TO elicence_server;

-- +goose Down
DROP INDEX licence_newest;
ALTER TABLE licence DROP COLUMN catalogue_version;
DROP TABLE catalogue_file;
DROP TABLE catalogue_version;
