-- +goose Up
-- Whether the end of a licence's term was told to those who subscribed to it. What ended before
-- there was such a thing is not told.
ALTER TABLE licence ADD COLUMN expiry_told boolean NOT NULL DEFAULT false;
UPDATE licence SET expiry_told = true WHERE status = 'valid' AND expires_on <> '' AND expires_on < to_char(now() AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD');
CREATE INDEX licence_expiring ON licence (expires_on, identifier) WHERE status = 'valid' AND expires_on <> '' AND NOT expiry_told;
GRANT UPDATE (expiry_told) ON licence TO elicence_server;

-- +goose Down
DROP INDEX licence_expiring;
ALTER TABLE licence DROP COLUMN expiry_told;
