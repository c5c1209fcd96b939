-- +goose Up
-- What log entries are found by: the first 8 bytes of the digest of the log, the kind of
-- key and its value; that of a holder is keyed. It is made of the entries, and no part of
-- the log.
CREATE TABLE log_key (
    "index"     bigint NOT NULL,
    principal   bigint NOT NULL,
    action      bigint NOT NULL,
    object      bigint,
    case_number bigint,
    holder      bigint
);
CREATE INDEX log_key_principal ON log_key (principal, "index");
CREATE INDEX log_key_action ON log_key (action, "index");
CREATE INDEX log_key_object ON log_key (object, "index") WHERE object IS NOT NULL;
CREATE INDEX log_key_case ON log_key (case_number, "index") WHERE case_number IS NOT NULL;
CREATE INDEX log_key_holder ON log_key (holder, "index") WHERE holder IS NOT NULL;

-- Holds on telling holders of entries.
CREATE TABLE log_hold (
    principal   text NOT NULL,
    case_number text NOT NULL,
    placed_at   bigint NOT NULL,
    until_at    bigint NOT NULL,
    lifted_at   bigint NOT NULL,
    ordered_by  text NOT NULL,
    basis       text NOT NULL,
    PRIMARY KEY (principal, case_number, placed_at)
);
