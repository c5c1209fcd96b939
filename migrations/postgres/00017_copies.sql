-- +goose Up
-- Annotated copies of licences, each for one department. Without a file it is only reserved.
CREATE TABLE annotated_copy (
    id             text COLLATE "C" PRIMARY KEY,
    identifier     text COLLATE "C" NOT NULL, -- of the licence
    receiver       text NOT NULL, -- unified social credit code
    client         text NOT NULL,
    expires_on     text NOT NULL,
    data           bytea, -- sealed
    data_digest    bytea NOT NULL,
    file_digest    bytea, -- NULL until it is made
    range_digest   bytea NOT NULL,
    size           bigint NOT NULL,
    timestamped_at bigint NOT NULL,
    sealed_at      bigint NOT NULL,
    made_at        bigint NOT NULL
);
CREATE INDEX annotated_copy_file ON annotated_copy (file_digest);

-- A copy is made once, and nothing of it changes any more.
GRANT SELECT, INSERT ON annotated_copy TO elicence_server;
GRANT UPDATE (file_digest, range_digest, size, timestamped_at, sealed_at, made_at) ON annotated_copy TO elicence_server;

-- +goose Down
DROP TABLE annotated_copy;
