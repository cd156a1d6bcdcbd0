-- What Alertmanager's webhook told: the last word on each alert, and when it was
-- heard. What is over stays for a while, so that late word is known to be late.

-- +goose Up
CREATE TABLE alerts (
	id TEXT PRIMARY KEY, since BIGINT NOT NULL, over INTEGER NOT NULL,
	data BYTEA NOT NULL, at BIGINT NOT NULL);
