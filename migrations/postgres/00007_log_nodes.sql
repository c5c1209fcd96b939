-- +goose Up
-- Inner nodes of the log's tree, from level 6 on: what proofs are read from. Those
-- of entries that are older than this step are missing, and computed when asked for.
CREATE TABLE log_node (
    log_id  text NOT NULL,
    level   bigint NOT NULL,
    "index" bigint NOT NULL,
    hash    bytea NOT NULL,
    PRIMARY KEY (log_id, level, "index")
);

CREATE TRIGGER log_node_change BEFORE UPDATE OR DELETE ON log_node FOR EACH ROW
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_node_truncate BEFORE TRUNCATE ON log_node
    EXECUTE FUNCTION refuse_change();
