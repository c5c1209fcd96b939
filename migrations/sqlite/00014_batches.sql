-- +goose Up
-- Batches of licences to issue and renew. A batch is being taken in until it is submitted,
-- and ends when nothing of it is left to do; an instant that has not come is 0.
CREATE TABLE licence_batch (
    id           TEXT PRIMARY KEY,
    client       TEXT NOT NULL,
    items        INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    cancelled_at INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX licence_batch_open ON licence_batch (created_at) WHERE ended_at = 0;

-- Its items. The first of several that are the same is the one that is done; the others
-- name its position, which is -1 else. The indexes are keyed digests.
CREATE TABLE licence_batch_item (
    batch         TEXT NOT NULL,
    position      INTEGER NOT NULL,
    state         TEXT NOT NULL,
    first         INTEGER NOT NULL,
    key           BLOB, -- sealed
    body          BLOB, -- sealed; NULL once the item is settled
    result        BLOB, -- sealed
    key_index     BLOB,
    content_index BLOB,
    lease_until   INTEGER NOT NULL,
    PRIMARY KEY (batch, position)
) STRICT;
CREATE INDEX licence_batch_item_state ON licence_batch_item (batch, state, position);
CREATE INDEX licence_batch_item_key ON licence_batch_item (batch, key_index, position) WHERE key_index IS NOT NULL;
CREATE INDEX licence_batch_item_content ON licence_batch_item (batch, content_index, position) WHERE content_index IS NOT NULL;

-- +goose Down
DROP TABLE licence_batch_item;
DROP TABLE licence_batch;
