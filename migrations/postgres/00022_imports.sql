-- +goose Up
-- The authority that entered a licence of another platform; empty for our own.
ALTER TABLE licence ADD COLUMN importer text NOT NULL DEFAULT '';
-- What was found of such a licence when it came: once, and again when its file came later.
CREATE TABLE licence_import (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identifier  text COLLATE "C" NOT NULL REFERENCES licence (identifier),
    imported_at bigint NOT NULL,
    given       bytea, -- sealed: the identifier as it came
    platform    text NOT NULL,
    existing    boolean NOT NULL,
    verdict     text NOT NULL,
    override    bytea, -- sealed: the reason
    report      bytea -- sealed: JSON
);
CREATE INDEX licence_import_licence ON licence_import (identifier, id);
GRANT SELECT, INSERT ON licence_import TO elicence_server;

-- +goose Down
DROP TABLE licence_import;
ALTER TABLE licence DROP COLUMN importer;
