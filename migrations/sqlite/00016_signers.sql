-- +goose Up
-- What a client must use: token (also when empty), signature or either.
ALTER TABLE client ADD COLUMN authentication TEXT NOT NULL DEFAULT '';
-- Keys that clients sign their requests with.
CREATE TABLE client_key (
    key_id      TEXT PRIMARY KEY, -- SM3 of public_key, hex
    client      TEXT NOT NULL,
    public_key  BLOB NOT NULL, -- SubjectPublicKeyInfo
    valid_from  INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX client_key_client ON client_key (client, valid_from, key_id);
-- Nonces of signed requests, for as long as their signatures last; owner is the request.
CREATE TABLE request_nonce (
    digest   BLOB PRIMARY KEY, -- SM3 of the key's name and the nonce
    owner    BLOB NOT NULL,
    until_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX request_nonce_until ON request_nonce (until_at);

-- +goose Down
DROP TABLE request_nonce;
DROP TABLE client_key;
ALTER TABLE client DROP COLUMN authentication;
