-- +goose Up
CREATE TABLE seal (
    id             text PRIMARY KEY, -- esID
    authority_code text NOT NULL,
    name           text NOT NULL,
    status         text NOT NULL,
    der            bytea,            -- SESeal; NULL before it is made
    record_number  text NOT NULL,
    replaces       text NOT NULL,
    reason         text NOT NULL,
    at             bigint NOT NULL
);
CREATE INDEX seal_authority ON seal (authority_code, id);

CREATE TABLE seal_status (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seal   text NOT NULL REFERENCES seal (id),
    status text NOT NULL,
    reason text NOT NULL,
    at     bigint NOT NULL
);

-- +goose Down
DROP TABLE seal_status;
DROP TABLE seal;
