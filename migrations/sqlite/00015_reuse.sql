-- +goose Up
-- Grants to departments, requested by one and approved by another. What was granted to
-- clients without that is carried over as requested: it opens nothing until it is approved.
ALTER TABLE reuse_grant RENAME TO reuse_grant_of_client;
CREATE TABLE reuse_grant (
    id             TEXT PRIMARY KEY,
    authority_name TEXT NOT NULL,
    authority_code TEXT NOT NULL,
    division       TEXT NOT NULL,
    type_code      TEXT NOT NULL,
    matter_code    TEXT NOT NULL,
    scenario       TEXT NOT NULL,
    fields         TEXT NOT NULL, -- JSON array
    how            TEXT NOT NULL,
    legal_basis    TEXT NOT NULL,
    valid_from     TEXT NOT NULL,
    valid_to       TEXT NOT NULL,
    status         TEXT NOT NULL,
    requested_by   TEXT NOT NULL,
    requested_at   INTEGER NOT NULL,
    approved_by    TEXT NOT NULL,
    approved_at    INTEGER NOT NULL,
    withdrawn_by   TEXT NOT NULL,
    withdrawn_at   INTEGER NOT NULL,
    reason         TEXT NOT NULL
);
INSERT INTO reuse_grant
    SELECT lower(hex(randomblob(16))), c.authority_name, c.authority_code, c.division, g.type_code, m.value, '', g.fields, 'function',
        g.legal_basis, g.valid_from, g.valid_to, 'requested', 'client/' || g.client, 0, '', 0, '', 0, ''
    FROM reuse_grant_of_client g JOIN client c ON c.id = g.client, json_each(g.matter_codes) m;
DROP TABLE reuse_grant_of_client;
CREATE INDEX reuse_grant_for ON reuse_grant (authority_code, type_code, matter_code, id);
CREATE INDEX reuse_grant_type ON reuse_grant (type_code, id);

-- Cases of departments, for which licences are reused. The id is made of department and
-- case number.
CREATE TABLE reuse_case (
    id               TEXT PRIMARY KEY,
    authority_code   TEXT NOT NULL,
    case_number      TEXT NOT NULL,
    matter_code      TEXT NOT NULL,
    matter_name      TEXT NOT NULL,
    holder_code      BLOB,          -- sealed
    holder_code_type TEXT NOT NULL,
    types            TEXT NOT NULL,  -- JSON array
    opened_at        INTEGER NOT NULL,
    valid_to         TEXT NOT NULL,
    closed_at        INTEGER NOT NULL
);

-- What the brake has counted, for all servers: the key is a keyed digest of a client and
-- of what is counted, since the beginning of its window.
CREATE TABLE reuse_count (
    key      BLOB NOT NULL,
    since_at INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (key, since_at)
);
CREATE INDEX reuse_count_since ON reuse_count (since_at);

-- Brakes on clients; at most one of a client stands.
CREATE TABLE reuse_brake (
    id             TEXT PRIMARY KEY,
    client         TEXT NOT NULL,
    authority_name TEXT NOT NULL,
    authority_code TEXT NOT NULL,
    division       TEXT NOT NULL,
    alarm          TEXT NOT NULL,
    detail         TEXT NOT NULL,
    braked_at      INTEGER NOT NULL,
    lifted_by      TEXT NOT NULL,
    lifted_at      INTEGER NOT NULL,
    reason         TEXT NOT NULL
);
CREATE UNIQUE INDEX reuse_brake_standing ON reuse_brake (client) WHERE lifted_at = 0;
CREATE INDEX reuse_brake_of ON reuse_brake (client, lifted_at);

-- How many reuses a day are usual for a client, 0 for the default; and the secret before
-- the present one, which is good until an instant.
ALTER TABLE client ADD COLUMN daily_reuses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE client ADD COLUMN old_secret_hash BLOB;
ALTER TABLE client ADD COLUMN old_salt BLOB;
ALTER TABLE client ADD COLUMN old_until INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE client DROP COLUMN old_until;
ALTER TABLE client DROP COLUMN old_salt;
ALTER TABLE client DROP COLUMN old_secret_hash;
ALTER TABLE client DROP COLUMN daily_reuses;
DROP TABLE reuse_brake;
DROP TABLE reuse_count;
DROP TABLE reuse_case;
DROP TABLE reuse_grant;
CREATE TABLE reuse_grant (
    client       TEXT NOT NULL,
    type_code    TEXT NOT NULL,
    fields       TEXT NOT NULL, -- JSON array
    matter_codes TEXT NOT NULL, -- JSON array
    legal_basis  TEXT NOT NULL,
    valid_from   TEXT NOT NULL,
    valid_to     TEXT NOT NULL,
    PRIMARY KEY (client, type_code)
);
