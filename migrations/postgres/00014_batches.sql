-- +goose Up
-- Batches of licences to issue and renew. A batch is being taken in until it is submitted,
-- and ends when nothing of it is left to do; an instant that has not come is 0.
CREATE TABLE licence_batch (
    id           text COLLATE "C" PRIMARY KEY,
    client       text NOT NULL,
    items        bigint NOT NULL,
    created_at   bigint NOT NULL,
    submitted_at bigint NOT NULL,
    cancelled_at bigint NOT NULL,
    ended_at     bigint NOT NULL
);
CREATE INDEX licence_batch_open ON licence_batch (created_at) WHERE ended_at = 0;

-- Its items. The first of several that are the same is the one that is done; the others
-- name its position, which is -1 else. The indexes are keyed digests.
CREATE TABLE licence_batch_item (
    batch         text COLLATE "C" NOT NULL,
    position      bigint NOT NULL,
    state         text NOT NULL,
    first         bigint NOT NULL,
    key           bytea, -- sealed
    body          bytea, -- sealed; NULL once the item is settled
    result        bytea, -- sealed
    key_index     bytea,
    content_index bytea,
    lease_until   bigint NOT NULL,
    PRIMARY KEY (batch, position)
);
CREATE INDEX licence_batch_item_state ON licence_batch_item (batch, state, position);
CREATE INDEX licence_batch_item_key ON licence_batch_item (batch, key_index, position) WHERE key_index IS NOT NULL;
CREATE INDEX licence_batch_item_content ON licence_batch_item (batch, content_index, position) WHERE content_index IS NOT NULL;

GRANT SELECT, INSERT, DELETE ON licence_batch, licence_batch_item TO elicence_server;
GRANT UPDATE (items, submitted_at, cancelled_at, ended_at) ON licence_batch TO elicence_server;
GRANT UPDATE (state, body, result, lease_until) ON licence_batch_item TO elicence_server;

-- +goose Down
DROP TABLE licence_batch_item;
DROP TABLE licence_batch;
