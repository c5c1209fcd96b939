-- +goose Up
-- Who is told of licences. Licences are those of the division within and below it, whose codes
-- begin with prefix; empty for all. events and types are lists with a blank around each; without
-- events all are meant.
CREATE TABLE event_subscription (
    id             TEXT PRIMARY KEY,
    client         TEXT NOT NULL,
    authority_name TEXT NOT NULL,
    authority_code TEXT NOT NULL,
    division       TEXT NOT NULL,
    within         TEXT NOT NULL,
    prefix         TEXT NOT NULL,
    url            BLOB, -- sealed
    events         TEXT NOT NULL,
    types          TEXT NOT NULL,
    status         TEXT NOT NULL,
    reason         TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    status_at      INTEGER NOT NULL,
    failures       INTEGER NOT NULL,
    rest_until     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX event_subscription_of ON event_subscription (authority_code, id);

-- What is to be told, one row for each subscription: due, delivered or dead. Of rows that are
-- due about one licence, in any version, the lowest seq comes first. A row that somebody
-- works on is due again when their time is over, and its due_at tells their claim from others.
CREATE TABLE event_delivery (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription TEXT NOT NULL,
    licence      TEXT NOT NULL, -- what its versions have in common
    event_id     TEXT NOT NULL,
    type         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    supersedes   TEXT NOT NULL,
    type_code    TEXT NOT NULL,
    version      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    state        TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    since_at     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL, -- of a row that is settled, when it was
    fault        TEXT NOT NULL
) STRICT;
CREATE INDEX event_delivery_due ON event_delivery (subscription, due_at, seq) WHERE state = 'due';
CREATE INDEX event_delivery_since ON event_delivery (since_at) WHERE state = 'due';
CREATE INDEX event_delivery_order ON event_delivery (subscription, licence, seq) WHERE state = 'due';
CREATE INDEX event_delivery_dead ON event_delivery (subscription, seq) WHERE state = 'dead';
CREATE INDEX event_delivery_settled ON event_delivery (state, due_at) WHERE state <> 'due';

-- +goose Down
DROP TABLE event_delivery;
DROP TABLE event_subscription;
