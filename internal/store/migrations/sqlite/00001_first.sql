-- What the first firstmate made by itself, so that its files are taken over:
-- hence IF NOT EXISTS, here and in no later migration.

-- +goose Up
CREATE TABLE IF NOT EXISTS sessions (
	conversation TEXT PRIMARY KEY, data BLOB NOT NULL, updated INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
	id TEXT PRIMARY KEY, answer BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, key TEXT NOT NULL,
	data BLOB NOT NULL, at INTEGER NOT NULL, UNIQUE (conversation, key)) STRICT;
CREATE TABLE IF NOT EXISTS actions (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE,
	conversation TEXT NOT NULL, state TEXT NOT NULL, open INTEGER NOT NULL,
	owner TEXT NOT NULL, lease INTEGER NOT NULL, data BLOB NOT NULL, updated INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS actions_conversation ON actions (conversation, seq);
CREATE INDEX IF NOT EXISTS actions_open ON actions (lease) WHERE open = 1;
CREATE TABLE IF NOT EXISTS misses (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL,
	data BLOB NOT NULL, next BLOB, at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS misses_open ON misses (conversation, seq) WHERE conversation <> '';
