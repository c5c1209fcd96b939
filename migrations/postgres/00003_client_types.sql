-- +goose Up
ALTER TABLE client ADD COLUMN types text NOT NULL DEFAULT '[]'; -- JSON array

-- +goose Down
ALTER TABLE client DROP COLUMN types;
