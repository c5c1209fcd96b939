-- +goose Up
-- Grants may permit questions, and may give their fields masked alone.
ALTER TABLE reuse_grant ADD COLUMN questions TEXT NOT NULL DEFAULT '[]'; -- JSON array
ALTER TABLE reuse_grant ADD COLUMN masked INTEGER NOT NULL DEFAULT 0; -- 1: masked

-- How often each question was asked in vain in a case; no value that was asked for.
CREATE TABLE reuse_question (
    case_id  TEXT NOT NULL,
    question TEXT NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (case_id, question)
);

-- +goose Down
DROP TABLE reuse_question;
ALTER TABLE reuse_grant DROP COLUMN masked;
ALTER TABLE reuse_grant DROP COLUMN questions;
