-- +goose Up
-- Grants to departments, requested by one and approved by another. What was granted to
-- clients without that is carried over as requested: it opens nothing until it is approved.
ALTER TABLE reuse_grant RENAME TO reuse_grant_of_client;
CREATE TABLE reuse_grant (
    id             text COLLATE "C" PRIMARY KEY,
    authority_name text NOT NULL,
    authority_code text NOT NULL,
    division       text NOT NULL,
    type_code      text NOT NULL,
    matter_code    text NOT NULL,
    scenario       text NOT NULL,
    fields         text NOT NULL, -- JSON array
    how            text NOT NULL,
    legal_basis    text NOT NULL,
    valid_from     text NOT NULL,
    valid_to       text NOT NULL,
    status         text NOT NULL,
    requested_by   text NOT NULL,
    requested_at   bigint NOT NULL,
    approved_by    text NOT NULL,
    approved_at    bigint NOT NULL,
    withdrawn_by   text NOT NULL,
    withdrawn_at   bigint NOT NULL,
    reason         text NOT NULL
);
INSERT INTO reuse_grant
    SELECT gen_random_uuid(), c.authority_name, c.authority_code, c.division, g.type_code, m.value, '', g.fields, 'function',
        g.legal_basis, g.valid_from, g.valid_to, 'requested', 'client/' || g.client, 0, '', 0, '', 0, ''
    FROM reuse_grant_of_client g JOIN client c ON c.id = g.client, json_array_elements_text(g.matter_codes::json) m (value);
DROP TABLE reuse_grant_of_client;
CREATE INDEX reuse_grant_for ON reuse_grant (authority_code, type_code, matter_code, id);
CREATE INDEX reuse_grant_type ON reuse_grant (type_code, id);

-- Cases of departments, for which licences are reused. The id is made of department and
-- case number.
CREATE TABLE reuse_case (
    id               text COLLATE "C" PRIMARY KEY,
    authority_code   text NOT NULL,
    case_number      text NOT NULL,
    matter_code      text NOT NULL,
    matter_name      text NOT NULL,
    holder_code      bytea,          -- sealed
    holder_code_type text NOT NULL,
    types            text NOT NULL,  -- JSON array
    opened_at        bigint NOT NULL,
    valid_to         text NOT NULL,
    closed_at        bigint NOT NULL
);

-- What the brake has counted, for all servers: the key is a keyed digest of a client and
-- of what is counted, since the beginning of its window.
CREATE TABLE reuse_count (
    key      bytea NOT NULL,
    since_at bigint NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (key, since_at)
);
CREATE INDEX reuse_count_since ON reuse_count (since_at);

-- Brakes on clients; at most one of a client stands.
CREATE TABLE reuse_brake (
    id             text COLLATE "C" PRIMARY KEY,
    client         text NOT NULL,
    authority_name text NOT NULL,
    authority_code text NOT NULL,
    division       text NOT NULL,
    alarm          text NOT NULL,
    detail         text NOT NULL,
    braked_at      bigint NOT NULL,
    lifted_by      text NOT NULL,
    lifted_at      bigint NOT NULL,
    reason         text NOT NULL
);
CREATE UNIQUE INDEX reuse_brake_standing ON reuse_brake (client) WHERE lifted_at = 0;
CREATE INDEX reuse_brake_of ON reuse_brake (client, lifted_at);

-- How many reuses a day are usual for a client, 0 for the default; and the secret before
-- the present one, which is good until an instant.
ALTER TABLE client ADD COLUMN daily_reuses bigint NOT NULL DEFAULT 0;
ALTER TABLE client ADD COLUMN old_secret_hash bytea;
ALTER TABLE client ADD COLUMN old_salt bytea;
ALTER TABLE client ADD COLUMN old_until bigint NOT NULL DEFAULT 0;

GRANT SELECT, INSERT ON reuse_grant, reuse_case, reuse_brake TO elicence_server;
GRANT UPDATE (status, approved_by, approved_at, withdrawn_by, withdrawn_at, reason) ON reuse_grant TO elicence_server;
GRANT UPDATE (closed_at) ON reuse_case TO elicence_server;
GRANT UPDATE (lifted_by, lifted_at, reason) ON reuse_brake TO elicence_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON reuse_count TO elicence_server;

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
    client       text NOT NULL,
    type_code    text NOT NULL,
    fields       text NOT NULL, -- JSON array
    matter_codes text NOT NULL, -- JSON array
    legal_basis  text NOT NULL,
    valid_from   text NOT NULL,
    valid_to     text NOT NULL,
    PRIMARY KEY (client, type_code)
);
GRANT SELECT, INSERT, UPDATE ON reuse_grant TO elicence_server;
