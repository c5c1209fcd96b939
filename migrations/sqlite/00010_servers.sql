-- +goose Up
-- What servers of one register tell each other for a while: links and sessions that are
-- spent, results of batches, what was revoked. The key is a keyed digest.
CREATE TABLE shared_state (
    kind     TEXT NOT NULL,
    key      BLOB NOT NULL,
    value    BLOB, -- sealed
    until_at INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX shared_state_until ON shared_state (until_at);

-- +goose Down
DROP TABLE shared_state;
