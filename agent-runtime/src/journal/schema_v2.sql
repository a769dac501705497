-- Journal schema 2: how far receipts have come at a ledger. Frozen: a change is a new file and a new version, never an edit
-- here. state: 0 queued, 1 acknowledged, 2 included, 3 final, 4 refused, 5 conflict. at_index is the place in the
-- ledger's log, detail the whole state, evidence the ledger's proof, both as JSON; a queued receipt has none of them.
ALTER TABLE outbox ADD COLUMN changed_ms INTEGER;
ALTER TABLE outbox ADD COLUMN at_index INTEGER;
ALTER TABLE outbox ADD COLUMN detail BLOB;
ALTER TABLE outbox ADD COLUMN evidence BLOB;
CREATE INDEX outbox_state ON outbox (state, at_index);
-- The one ledger that receipts of this home go to: its keys as they were pinned, the largest head and the last block taken.
CREATE TABLE ledger (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  url TEXT NOT NULL,
  pinned BLOB NOT NULL,
  head TEXT,
  block BLOB
);
-- What shows that a ledger contradicted itself.
CREATE TABLE contradiction (
  no INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  body BLOB NOT NULL UNIQUE
);
PRAGMA user_version = 2;
