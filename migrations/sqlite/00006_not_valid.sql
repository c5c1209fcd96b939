-- +goose Up
-- What a trust list names: it must not cost a look at the valid ones, nearly all there are.
CREATE INDEX licence_not_valid ON licence (identifier, status) WHERE status <> 'valid';

-- +goose Down
DROP INDEX licence_not_valid;
