-- What is kept as one piece and swapped as a whole, as the incidents of on-call.

-- +goose Up
CREATE TABLE books (
	name TEXT PRIMARY KEY, version BIGINT NOT NULL, data BYTEA NOT NULL, updated BIGINT NOT NULL);
