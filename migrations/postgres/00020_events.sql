-- +goose Up
-- Who is told of licences. Licences are those of the division within and below it, whose codes
-- begin with prefix; empty for all. events and types are lists with a blank around each; without
-- events all are meant.
CREATE TABLE event_subscription (
    id             text COLLATE "C" PRIMARY KEY,
    client         text NOT NULL,
    authority_name text NOT NULL,
    authority_code text NOT NULL,
    division       text NOT NULL,
    within         text NOT NULL,
    prefix         text NOT NULL,
    url            bytea, -- sealed
    events         text NOT NULL,
    types          text NOT NULL,
    status         text NOT NULL,
    reason         text NOT NULL,
    created_at     bigint NOT NULL,
    status_at      bigint NOT NULL,
    failures       bigint NOT NULL,
    rest_until     bigint NOT NULL
);
CREATE INDEX event_subscription_of ON event_subscription (authority_code, id);

-- What is to be told, one row for each subscription: due, delivered or dead. Of rows that are
-- due about one licence, in any version, the lowest seq comes first. A row that somebody
-- works on is due again when their time is over, and its due_at tells their claim from others.
CREATE TABLE event_delivery (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription text COLLATE "C" NOT NULL,
    licence      text COLLATE "C" NOT NULL, -- what its versions have in common
    event_id     text NOT NULL,
    type         text NOT NULL,
    subject      text NOT NULL,
    supersedes   text NOT NULL,
    type_code    text NOT NULL,
    version      bigint NOT NULL,
    at           bigint NOT NULL,
    state        text NOT NULL,
    attempts     bigint NOT NULL,
    since_at     bigint NOT NULL,
    due_at       bigint NOT NULL, -- of a row that is settled, when it was
    fault        text NOT NULL
);
CREATE INDEX event_delivery_due ON event_delivery (subscription, due_at, seq) WHERE state = 'due';
CREATE INDEX event_delivery_since ON event_delivery (since_at) WHERE state = 'due';
CREATE INDEX event_delivery_order ON event_delivery (subscription, licence, seq) WHERE state = 'due';
CREATE INDEX event_delivery_dead ON event_delivery (subscription, seq) WHERE state = 'dead';
CREATE INDEX event_delivery_settled ON event_delivery (state, due_at) WHERE state <> 'due';

GRANT SELECT, INSERT, UPDATE, DELETE ON event_subscription, event_delivery TO elicence_server;

-- +goose Down
DROP TABLE event_delivery;
DROP TABLE event_subscription;
