-- +goose Up
CREATE TABLE seal_consent (
    type_code      text NOT NULL,
    issuing_code   text NOT NULL, -- of the authority that issues
    kind           text COLLATE "C" NOT NULL,
    authority_code text NOT NULL, -- of the one that consents
    authority_name text NOT NULL,
    basis          text NOT NULL,
    valid_from     text NOT NULL,
    valid_to       text NOT NULL, -- empty: unbounded
    PRIMARY KEY (type_code, issuing_code, kind)
);

-- +goose Down
DROP TABLE seal_consent;
