-- +goose Up
CREATE TABLE client (
    id               text PRIMARY KEY,
    secret_hash      bytea NOT NULL,
    salt             bytea NOT NULL,
    roles            text NOT NULL, -- JSON array
    authority_name   text NOT NULL,
    authority_code   text NOT NULL,
    division         text NOT NULL,
    holder_code      bytea,          -- sealed
    holder_code_type text NOT NULL,
    disabled         boolean NOT NULL
);

CREATE TABLE reuse_grant (
    client       text NOT NULL,
    type_code    text NOT NULL,
    fields       text NOT NULL, -- JSON array
    matter_codes text NOT NULL, -- JSON array
    legal_basis  text NOT NULL,
    valid_from   text NOT NULL,
    valid_to     text NOT NULL,
    PRIMARY KEY (client, type_code)
);

CREATE TABLE idempotency_key (
    client      text NOT NULL,
    key         text NOT NULL,
    body        bytea NOT NULL,    -- digest of the first request
    lease_until bigint NOT NULL,
    identifier  text COLLATE "C" NOT NULL,    -- empty until something is reserved
    answer      bytea,             -- sealed
    PRIMARY KEY (client, key)
);

CREATE TABLE number_series (
    series text PRIMARY KEY,
    value  bigint NOT NULL
);

CREATE TABLE licence (
    identifier       text COLLATE "C" PRIMARY KEY,
    number           bytea,          -- sealed: for some types it is the holder's own number
    number_index     bytea NOT NULL, -- keyed digest of type, authority and number
    type_code        text NOT NULL,
    authority_code   text NOT NULL,
    division         text NOT NULL,
    version          bigint NOT NULL,
    holder_name      bytea,          -- sealed
    holder_code      bytea,          -- sealed
    holder_code_type text NOT NULL,
    holder_index     bytea NOT NULL, -- keyed digest of code type and code
    data             bytea,          -- sealed
    data_digest      bytea NOT NULL,
    status           text NOT NULL,
    status_reason    bytea,          -- sealed
    status_at        bigint NOT NULL,
    file_digest      bytea,          -- the current file
    client           text NOT NULL,
    idempotency_key  text NOT NULL,
    case_number      text NOT NULL,
    created_at       bigint NOT NULL,
    lease_until      bigint NOT NULL,
    UNIQUE (type_code, authority_code, number_index)
);
CREATE INDEX licence_holder ON licence (holder_index, identifier);
CREATE INDEX licence_lapsed ON licence (lease_until) WHERE status = 'pending';

CREATE TABLE licence_status (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identifier  text COLLATE "C" NOT NULL REFERENCES licence (identifier),
    status      text NOT NULL,
    reason      bytea,             -- sealed
    case_number text NOT NULL,
    at          bigint NOT NULL
);
CREATE INDEX licence_status_at ON licence_status (identifier, at, id);

CREATE TABLE licence_file (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest         bytea NOT NULL UNIQUE,
    identifier     text COLLATE "C" NOT NULL REFERENCES licence (identifier),
    range_digest   bytea NOT NULL,
    size           bigint NOT NULL,
    timestamped    boolean NOT NULL,
    timestamped_at bigint NOT NULL,
    sealed_at      bigint NOT NULL,
    created_at     bigint NOT NULL
);
CREATE INDEX licence_file_untimestamped ON licence_file (id) WHERE NOT timestamped;
