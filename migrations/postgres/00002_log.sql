-- +goose Up
CREATE TABLE log_entry (
    log_id  text NOT NULL,
    "index" bigint NOT NULL,
    record  bytea NOT NULL,
    leaf    bytea NOT NULL,
    opening bytea, -- sealed; NULL when there is none or it was erased
    PRIMARY KEY (log_id, "index")
);

CREATE TABLE log_checkpoint (
    log_id        text NOT NULL,
    size          bigint NOT NULL,
    last_leaf     bytea NOT NULL,
    compact_range bytea NOT NULL, -- hashes of 32 bytes, one after the other
    note          bytea NOT NULL,
    PRIMARY KEY (log_id, size)
);

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
-- +goose StatementEnd

-- The one lawful change is the erasure of an opening.
CREATE TRIGGER log_entry_update BEFORE UPDATE ON log_entry FOR EACH ROW
    WHEN (NEW.opening IS NOT NULL
        OR (NEW.log_id, NEW."index", NEW.record, NEW.leaf)
            IS DISTINCT FROM (OLD.log_id, OLD."index", OLD.record, OLD.leaf))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_entry_delete BEFORE DELETE ON log_entry FOR EACH ROW
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_entry_truncate BEFORE TRUNCATE ON log_entry
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_checkpoint_change BEFORE UPDATE OR DELETE ON log_checkpoint FOR EACH ROW
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_checkpoint_truncate BEFORE TRUNCATE ON log_checkpoint
    EXECUTE FUNCTION refuse_change();
