-- +goose Up
-- Grants may permit questions, and may give their fields masked alone.
ALTER TABLE reuse_grant ADD COLUMN questions text NOT NULL DEFAULT '[]'; -- JSON array
ALTER TABLE reuse_grant ADD COLUMN masked bigint NOT NULL DEFAULT 0; -- 1: masked

-- How often each question was asked in vain in a case; no value that was asked for.
CREATE TABLE reuse_question (
    case_id  text COLLATE "C" NOT NULL,
    question text COLLATE "C" NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (case_id, question)
);

GRANT SELECT, INSERT, UPDATE ON reuse_question TO elicence_server;

-- +goose Down
DROP TABLE reuse_question;
ALTER TABLE reuse_grant DROP COLUMN masked;
ALTER TABLE reuse_grant DROP COLUMN questions;
