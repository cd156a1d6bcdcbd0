-- What the web console shows again: whose a conversation is, what was said in it,
-- and who is logged in.

-- +goose Up
CREATE TABLE conversations (
	id TEXT PRIMARY KEY, owner TEXT NOT NULL, title BLOB NOT NULL, updated INTEGER NOT NULL) STRICT;
CREATE INDEX conversations_owner ON conversations (owner, updated);
CREATE TABLE turns (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, key TEXT UNIQUE, data BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX turns_conversation ON turns (conversation, seq);
CREATE INDEX turns_at ON turns (at);
CREATE TABLE logins (
	id TEXT PRIMARY KEY, data BLOB NOT NULL, expires INTEGER NOT NULL) STRICT;
CREATE INDEX logins_expires ON logins (expires);
