-- +goose Up
-- What holders agree to: that fields of licences of theirs are reused, or shown, so many
-- times and until an instant. What opens one is a code, which is shared state.
CREATE TABLE holder_consent (
    id               TEXT PRIMARY KEY,
    holder_index     BLOB NOT NULL, -- keyed
    holder_code      BLOB,          -- sealed
    holder_code_type TEXT NOT NULL,
    kind             TEXT NOT NULL,
    licences         TEXT NOT NULL, -- JSON array
    fields           TEXT NOT NULL, -- JSON array
    purpose          BLOB,          -- sealed
    receiver         TEXT NOT NULL,
    receiver_name    TEXT NOT NULL,
    uses             INTEGER NOT NULL,
    used             INTEGER NOT NULL,
    made_at          INTEGER NOT NULL,
    ends_at          INTEGER NOT NULL,
    revoked_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX holder_consent_of ON holder_consent (holder_index, id);

-- +goose Down
DROP TABLE holder_consent;
