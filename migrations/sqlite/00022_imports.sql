-- +goose Up
-- The authority that entered a licence of another platform; empty for our own.
ALTER TABLE licence ADD COLUMN importer TEXT NOT NULL DEFAULT '';
-- What was found of such a licence when it came: once, and again when its file came later.
CREATE TABLE licence_import (
    id          INTEGER PRIMARY KEY,
    identifier  TEXT NOT NULL REFERENCES licence (identifier),
    imported_at INTEGER NOT NULL,
    given       BLOB, -- sealed: the identifier as it came
    platform    TEXT NOT NULL,
    existing    INTEGER NOT NULL,
    verdict     TEXT NOT NULL,
    override    BLOB, -- sealed: the reason
    report      BLOB -- sealed: JSON
) STRICT;
CREATE INDEX licence_import_licence ON licence_import (identifier, id);

-- +goose Down
DROP TABLE licence_import;
ALTER TABLE licence DROP COLUMN importer;
