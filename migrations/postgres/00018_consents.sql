-- +goose Up
-- What holders agree to: that fields of licences of theirs are reused, or shown, so many
-- times and until an instant. What opens one is a code, which is shared state.
CREATE TABLE holder_consent (
    id               text COLLATE "C" PRIMARY KEY,
    holder_index     bytea NOT NULL, -- keyed
    holder_code      bytea,          -- sealed
    holder_code_type text NOT NULL,
    kind             text NOT NULL,
    licences         text NOT NULL, -- JSON array
    fields           text NOT NULL, -- JSON array
    purpose          bytea,          -- sealed
    receiver         text NOT NULL,
    receiver_name    text NOT NULL,
    uses             bigint NOT NULL,
    used             bigint NOT NULL,
    made_at          bigint NOT NULL,
    ends_at          bigint NOT NULL,
    revoked_at       bigint NOT NULL
);
CREATE INDEX holder_consent_of ON holder_consent (holder_index, id);

GRANT SELECT, INSERT ON holder_consent TO elicence_server;
GRANT UPDATE (used, revoked_at) ON holder_consent TO elicence_server;

-- +goose Down
DROP TABLE holder_consent;
