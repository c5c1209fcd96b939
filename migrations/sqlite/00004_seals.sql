-- +goose Up
CREATE TABLE seal (
    id             TEXT PRIMARY KEY, -- esID
    authority_code TEXT NOT NULL,
    name           TEXT NOT NULL,
    status         TEXT NOT NULL,
    der            BLOB,             -- SESeal; NULL before it is made
    record_number  TEXT NOT NULL,
    replaces       TEXT NOT NULL,
    reason         TEXT NOT NULL,
    at             INTEGER NOT NULL
) STRICT;
CREATE INDEX seal_authority ON seal (authority_code, id);

CREATE TABLE seal_status (
    id     INTEGER PRIMARY KEY,
    seal   TEXT NOT NULL REFERENCES seal (id),
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE seal_status;
DROP TABLE seal;
