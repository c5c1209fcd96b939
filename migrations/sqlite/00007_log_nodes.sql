-- +goose Up
-- Inner nodes of the log's tree, from level 6 on: what proofs are read from. Those
-- of entries that are older than this step are missing, and computed when asked for.
CREATE TABLE log_node (
    log_id  TEXT NOT NULL,
    level   INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    PRIMARY KEY (log_id, level, "index")
) WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER log_node_update BEFORE UPDATE ON log_node
BEGIN
    SELECT RAISE(ABORT, 'log_node is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_node_delete BEFORE DELETE ON log_node
BEGIN
    SELECT RAISE(ABORT, 'log_node is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER log_node_insert BEFORE INSERT ON log_node
WHEN EXISTS (SELECT 1 FROM log_node WHERE log_id = NEW.log_id AND level = NEW.level AND "index" = NEW."index")
BEGIN
    SELECT RAISE(ABORT, 'log_node is append-only: this index is taken');
END;
-- +goose StatementEnd
