-- +goose Up
-- What made a version after the first, and which version it takes the place of; empty for
-- the first. The number_index of a version that keeps its number is the digest of its
-- identifier too, for the number alone is the first one's.
ALTER TABLE licence ADD COLUMN operation text NOT NULL DEFAULT '';
ALTER TABLE licence ADD COLUMN supersedes text COLLATE "C" NOT NULL DEFAULT '';
CREATE UNIQUE INDEX licence_successor ON licence (supersedes) WHERE supersedes <> '' AND status <> 'voided';
CREATE INDEX licence_file_of ON licence_file (identifier, created_at);

-- +goose Down
DROP INDEX licence_file_of;
DROP INDEX licence_successor;
ALTER TABLE licence DROP COLUMN supersedes;
ALTER TABLE licence DROP COLUMN operation;
