-- +goose Up
-- Whether the end of a licence's term was told to those who subscribed to it. What ended before
-- there was such a thing is not told.
ALTER TABLE licence ADD COLUMN expiry_told INTEGER NOT NULL DEFAULT 0;
UPDATE licence SET expiry_told = 1 WHERE status = 'valid' AND expires_on <> '' AND expires_on < date('now', '+8 hours');
CREATE INDEX licence_expiring ON licence (expires_on, identifier) WHERE status = 'valid' AND expires_on <> '' AND NOT expiry_told;

-- +goose Down
DROP INDEX licence_expiring;
ALTER TABLE licence DROP COLUMN expiry_told;
