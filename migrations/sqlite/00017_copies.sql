-- +goose Up
-- Annotated copies of licences, each for one department. Without a file it is only reserved.
CREATE TABLE annotated_copy (
    id             TEXT PRIMARY KEY,
    identifier     TEXT NOT NULL, -- of the licence
    receiver       TEXT NOT NULL, -- unified social credit code
    client         TEXT NOT NULL,
    expires_on     TEXT NOT NULL,
    data           BLOB, -- sealed
    data_digest    BLOB NOT NULL,
    file_digest    BLOB, -- NULL until it is made
    range_digest   BLOB NOT NULL,
    size           INTEGER NOT NULL,
    timestamped_at INTEGER NOT NULL,
    sealed_at      INTEGER NOT NULL,
    made_at        INTEGER NOT NULL
) STRICT;
CREATE INDEX annotated_copy_file ON annotated_copy (file_digest);

-- +goose Down
DROP TABLE annotated_copy;
