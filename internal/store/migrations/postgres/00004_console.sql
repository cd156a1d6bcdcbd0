-- What the web console shows again: whose a conversation is, what was said in it,
-- and who is logged in.

-- +goose Up
CREATE TABLE conversations (
	id TEXT PRIMARY KEY, owner TEXT NOT NULL, title BYTEA NOT NULL, updated BIGINT NOT NULL);
CREATE INDEX conversations_owner ON conversations (owner, updated);
CREATE TABLE turns (
	seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, conversation TEXT NOT NULL, key TEXT UNIQUE, data BYTEA NOT NULL, at BIGINT NOT NULL);
CREATE INDEX turns_conversation ON turns (conversation, seq);
CREATE INDEX turns_at ON turns (at);
CREATE TABLE logins (
	id TEXT PRIMARY KEY, data BYTEA NOT NULL, expires BIGINT NOT NULL);
CREATE INDEX logins_expires ON logins (expires);
