-- What is kept as one piece and swapped as a whole, as the incidents of on-call.

-- +goose Up
CREATE TABLE books (
	name TEXT PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL, updated INTEGER NOT NULL) STRICT;
