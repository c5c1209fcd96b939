-- +goose Up
-- What servers of one register tell each other for a while: links and sessions that are
-- spent, results of batches, what was revoked. The key is a keyed digest.
CREATE TABLE shared_state (
    kind     text NOT NULL,
    key      bytea NOT NULL,
    value    bytea, -- sealed
    until_at bigint NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX shared_state_until ON shared_state (until_at);

-- Two roles, for logins to be members of. Roles belong to the cluster, so another database
-- may have made them, perhaps at this moment. The owner of the tables is whoever migrates.
-- +goose StatementBegin
DO $$
DECLARE wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['elicence_server', 'elicence_archive'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'there is no role %, and % may not create it: have an administrator do so (CREATE ROLE % NOLOGIN), or migrate with CREATEROLE',
                    wanted, current_user, wanted USING ERRCODE = 'undefined_object';
        END;
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO elicence_server, elicence_archive', current_schema());
END
$$;
-- +goose StatementEnd

-- The server adds to the log and changes nothing in it; the one exception is the erasure
-- of an opening. What it changes of the register are the columns of a licence's life. A
-- step that makes a table, or makes one anew, grants what the server needs of it.
GRANT SELECT ON goose_db_version TO elicence_server;
GRANT SELECT, INSERT ON log_entry, log_checkpoint, log_node, log_cosigned, log_key, log_hold TO elicence_server;
GRANT UPDATE (opening) ON log_entry TO elicence_server;
GRANT UPDATE (holder) ON log_key TO elicence_server;
GRANT UPDATE (until_at, lifted_at, ordered_by, basis) ON log_hold TO elicence_server;
GRANT SELECT, INSERT ON licence, licence_status, licence_file, seal, seal_status TO elicence_server;
GRANT UPDATE (status, status_reason, status_at, file_digest, lease_until) ON licence TO elicence_server;
GRANT UPDATE (status, der, record_number, reason, at) ON seal TO elicence_server;
GRANT SELECT, INSERT, UPDATE ON client, reuse_grant, number_series TO elicence_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_key, seal_consent, shared_state TO elicence_server;

-- +goose Down
DROP TABLE shared_state;
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM elicence_server, elicence_archive', current_schema());
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM elicence_server, elicence_archive', current_schema());
END
$$;
-- +goose StatementEnd
