-- +goose Up
-- What a client must use: token (also when empty), signature or either.
ALTER TABLE client ADD COLUMN authentication text NOT NULL DEFAULT '';
-- Keys that clients sign their requests with.
CREATE TABLE client_key (
    key_id      text COLLATE "C" PRIMARY KEY, -- SM3 of public_key, hex
    client      text COLLATE "C" NOT NULL,
    public_key  bytea NOT NULL, -- SubjectPublicKeyInfo
    valid_from  bigint NOT NULL,
    valid_until bigint NOT NULL,
    ended_at    bigint NOT NULL
);
CREATE INDEX client_key_client ON client_key (client, valid_from, key_id);
-- Nonces of signed requests, for as long as their signatures last; owner is the request.
CREATE TABLE request_nonce (
    digest   bytea PRIMARY KEY, -- SM3 of the key's name and the nonce
    owner    bytea NOT NULL,
    until_at bigint NOT NULL
);
CREATE INDEX request_nonce_until ON request_nonce (until_at);

-- A key is ended, and nothing else of it changes.
GRANT SELECT, INSERT ON client_key TO elicence_server;
GRANT UPDATE (ended_at) ON client_key TO elicence_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON request_nonce TO elicence_server;

-- +goose Down
DROP TABLE request_nonce;
DROP TABLE client_key;
ALTER TABLE client DROP COLUMN authentication;
