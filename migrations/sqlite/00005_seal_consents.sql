-- +goose Up
CREATE TABLE seal_consent (
    type_code      TEXT NOT NULL,
    issuing_code   TEXT NOT NULL, -- of the authority that issues
    kind           TEXT NOT NULL,
    authority_code TEXT NOT NULL, -- of the one that consents
    authority_name TEXT NOT NULL,
    basis          TEXT NOT NULL,
    valid_from     TEXT NOT NULL,
    valid_to       TEXT NOT NULL, -- empty: unbounded
    PRIMARY KEY (type_code, issuing_code, kind)
) STRICT;

-- +goose Down
DROP TABLE seal_consent;
