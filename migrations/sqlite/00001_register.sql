-- +goose Up
CREATE TABLE client (
    id               TEXT PRIMARY KEY,
    secret_hash      BLOB NOT NULL,
    salt             BLOB NOT NULL,
    roles            TEXT NOT NULL, -- JSON array
    authority_name   TEXT NOT NULL,
    authority_code   TEXT NOT NULL,
    division         TEXT NOT NULL,
    holder_code      BLOB,          -- sealed
    holder_code_type TEXT NOT NULL,
    disabled         INTEGER NOT NULL
) STRICT;

CREATE TABLE reuse_grant (
    client       TEXT NOT NULL,
    type_code    TEXT NOT NULL,
    fields       TEXT NOT NULL, -- JSON array
    matter_codes TEXT NOT NULL, -- JSON array
    legal_basis  TEXT NOT NULL,
    valid_from   TEXT NOT NULL,
    valid_to     TEXT NOT NULL,
    PRIMARY KEY (client, type_code)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_key (
    client      TEXT NOT NULL,
    key         TEXT NOT NULL,
    body        BLOB NOT NULL,    -- digest of the first request
    lease_until INTEGER NOT NULL,
    identifier  TEXT NOT NULL,    -- empty until something is reserved
    answer      BLOB,             -- sealed
    PRIMARY KEY (client, key)
) STRICT;

CREATE TABLE number_series (
    series TEXT PRIMARY KEY,
    value  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE licence (
    identifier       TEXT PRIMARY KEY,
    number           BLOB,          -- sealed: for some types it is the holder's own number
    number_index     BLOB NOT NULL, -- keyed digest of type, authority and number
    type_code        TEXT NOT NULL,
    authority_code   TEXT NOT NULL,
    division         TEXT NOT NULL,
    version          INTEGER NOT NULL,
    holder_name      BLOB,          -- sealed
    holder_code      BLOB,          -- sealed
    holder_code_type TEXT NOT NULL,
    holder_index     BLOB NOT NULL, -- keyed digest of code type and code
    data             BLOB,          -- sealed
    data_digest      BLOB NOT NULL,
    status           TEXT NOT NULL,
    status_reason    BLOB,          -- sealed
    status_at        INTEGER NOT NULL,
    file_digest      BLOB,          -- the current file
    client           TEXT NOT NULL,
    idempotency_key  TEXT NOT NULL,
    case_number      TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    lease_until      INTEGER NOT NULL,
    UNIQUE (type_code, authority_code, number_index)
) STRICT;
CREATE INDEX licence_holder ON licence (holder_index, identifier);
CREATE INDEX licence_lapsed ON licence (lease_until) WHERE status = 'pending';

CREATE TABLE licence_status (
    id          INTEGER PRIMARY KEY,
    identifier  TEXT NOT NULL REFERENCES licence (identifier),
    status      TEXT NOT NULL,
    reason      BLOB,             -- sealed
    case_number TEXT NOT NULL,
    at          INTEGER NOT NULL
) STRICT;
CREATE INDEX licence_status_at ON licence_status (identifier, at, id);

CREATE TABLE licence_file (
    id             INTEGER PRIMARY KEY,
    digest         BLOB NOT NULL UNIQUE,
    identifier     TEXT NOT NULL REFERENCES licence (identifier),
    range_digest   BLOB NOT NULL,
    size           INTEGER NOT NULL,
    timestamped    INTEGER NOT NULL,
    timestamped_at INTEGER NOT NULL,
    sealed_at      INTEGER NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX licence_file_untimestamped ON licence_file (id) WHERE NOT timestamped;
