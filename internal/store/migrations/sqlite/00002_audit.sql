-- Who is answering a delivery, what access keeps, and the audit trail. What
-- access keeps was made without migrations for some days: hence IF NOT EXISTS.

-- +goose Up
ALTER TABLE deliveries ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN lease INTEGER NOT NULL DEFAULT 0;

CREATE INDEX IF NOT EXISTS actions_state ON actions (state, seq);

-- Who is linked to whom, and what is known of PINs and codes: only their hashes.
CREATE TABLE IF NOT EXISTS links (
	speaker TEXT PRIMARY KEY, person TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS link_codes (
	person TEXT PRIMARY KEY, hash TEXT NOT NULL, expires INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS pins (
	person TEXT PRIMARY KEY, hash TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tries (
	key TEXT PRIMARY KEY, made INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;

CREATE TABLE audit (
	seq INTEGER PRIMARY KEY, key TEXT UNIQUE, at INTEGER NOT NULL,
	data BLOB NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
INSERT INTO audit_head VALUES (1, 0, '');

-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END;
-- +goose StatementEnd

-- A firstmate that knows nothing of the trail refuses the file by this.
PRAGMA user_version = 2;
