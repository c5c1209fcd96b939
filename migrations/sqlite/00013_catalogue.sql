-- +goose Up
-- Versions of licence types. A row's stage moves from draft to published to retired; what
-- a version is made of never changes.
CREATE TABLE catalogue_version (
    type_code   TEXT NOT NULL,
    version     INTEGER NOT NULL,
    stage       TEXT NOT NULL,
    name        TEXT NOT NULL,
    digest      BLOB NOT NULL,    -- of all its files
    imported_by TEXT NOT NULL,
    imported_at INTEGER NOT NULL,
    changed_by  TEXT NOT NULL,
    changed_at  INTEGER NOT NULL,
    reason      TEXT NOT NULL,    -- of the last change
    change      INTEGER NOT NULL, -- counts the changes of the whole catalogue
    PRIMARY KEY (type_code, version)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX catalogue_version_published ON catalogue_version (type_code) WHERE stage = 'published';
CREATE INDEX catalogue_version_change ON catalogue_version (change);

CREATE TABLE catalogue_file (
    type_code TEXT NOT NULL,
    version   INTEGER NOT NULL,
    name      TEXT NOT NULL,
    content   BLOB NOT NULL,
    PRIMARY KEY (type_code, version, name),
    FOREIGN KEY (type_code, version) REFERENCES catalogue_version (type_code, version)
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER catalogue_file_update BEFORE UPDATE ON catalogue_file
BEGIN
    SELECT RAISE(ABORT, 'a version of the catalogue never changes');
END;
-- +goose StatementEnd

-- The version of its type that a licence was made by; 0: what the program shipped before
-- the catalogue was kept here.
ALTER TABLE licence ADD COLUMN catalogue_version INTEGER NOT NULL DEFAULT 0;
CREATE INDEX licence_newest ON licence (type_code, created_at);

-- +goose Down
DROP INDEX licence_newest;
ALTER TABLE licence DROP COLUMN catalogue_version;
DROP TABLE catalogue_file;
DROP TABLE catalogue_version;
