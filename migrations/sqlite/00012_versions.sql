-- +goose Up
-- What made a version after the first, and which version it takes the place of; empty for
-- the first. The number_index of a version that keeps its number is the digest of its
-- identifier too, for the number alone is the first one's.
ALTER TABLE licence ADD COLUMN operation TEXT NOT NULL DEFAULT '';
ALTER TABLE licence ADD COLUMN supersedes TEXT NOT NULL DEFAULT '';
-- The licence's dates, for statistics. Those of older licences are copied from their data
-- when the server next starts.
ALTER TABLE licence ADD COLUMN issued_on TEXT NOT NULL DEFAULT '';
ALTER TABLE licence ADD COLUMN effective_on TEXT NOT NULL DEFAULT '';
ALTER TABLE licence ADD COLUMN expires_on TEXT NOT NULL DEFAULT '';
CREATE INDEX licence_undated ON licence (identifier) WHERE issued_on = '';
CREATE INDEX licence_counted ON licence (type_code, division, status, operation, issued_on, effective_on, expires_on, status_at);
CREATE UNIQUE INDEX licence_successor ON licence (supersedes) WHERE supersedes <> '' AND status <> 'voided';
CREATE INDEX licence_file_of ON licence_file (identifier, created_at);

-- +goose Down
DROP INDEX licence_file_of;
DROP INDEX licence_successor;
DROP INDEX licence_counted;
DROP INDEX licence_undated;
ALTER TABLE licence DROP COLUMN expires_on;
ALTER TABLE licence DROP COLUMN effective_on;
ALTER TABLE licence DROP COLUMN issued_on;
ALTER TABLE licence DROP COLUMN supersedes;
ALTER TABLE licence DROP COLUMN operation;
