-- +goose Up
CREATE TABLE sessions (
	conversation TEXT PRIMARY KEY, data BYTEA NOT NULL, updated BIGINT NOT NULL);
CREATE TABLE deliveries (
	id TEXT PRIMARY KEY, answer BYTEA NOT NULL, at BIGINT NOT NULL,
	owner TEXT NOT NULL DEFAULT '', lease BIGINT NOT NULL DEFAULT 0);
CREATE TABLE events (
	seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, conversation TEXT NOT NULL, key TEXT NOT NULL,
	data BYTEA NOT NULL, at BIGINT NOT NULL, UNIQUE (conversation, key));
CREATE TABLE actions (
	seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE,
	conversation TEXT NOT NULL, state TEXT NOT NULL, open INTEGER NOT NULL,
	owner TEXT NOT NULL, lease BIGINT NOT NULL, data BYTEA NOT NULL, updated BIGINT NOT NULL);
CREATE INDEX actions_conversation ON actions (conversation, seq);
CREATE INDEX actions_open ON actions (lease) WHERE open = 1;
CREATE TABLE misses (
	seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, conversation TEXT NOT NULL,
	data BYTEA NOT NULL, next BYTEA, at BIGINT NOT NULL);
CREATE INDEX misses_open ON misses (conversation, seq) WHERE conversation <> '';
CREATE INDEX actions_state ON actions (state, seq);

-- Who is linked to whom, and what is known of PINs and codes: only their hashes.
CREATE TABLE links (
	speaker TEXT PRIMARY KEY, person TEXT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE link_codes (
	person TEXT PRIMARY KEY, hash TEXT NOT NULL, expires BIGINT NOT NULL);
CREATE TABLE pins (
	person TEXT PRIMARY KEY, hash TEXT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE tries (
	key TEXT PRIMARY KEY, made BIGINT NOT NULL, last BIGINT NOT NULL);

CREATE TABLE audit (
	seq BIGINT PRIMARY KEY, key TEXT UNIQUE, at BIGINT NOT NULL,
	data BYTEA NOT NULL, hash TEXT NOT NULL);
CREATE INDEX audit_at ON audit (at);
CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), seq BIGINT NOT NULL, hash TEXT NOT NULL);
INSERT INTO audit_head VALUES (1, 0, '');

-- +goose StatementBegin
CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit trail is only added to'; END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
	FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to();
