-- Journal schema 1. Frozen: a change is a new file and a new version, never an edit here.
-- Ids, digests and links are raw bytes. Times are milliseconds since the Unix epoch.
CREATE TABLE run (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  run BLOB NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL,
  head_seq INTEGER NOT NULL,
  head_link BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  holder BLOB,
  acquired_ms INTEGER NOT NULL,
  ttl_ms INTEGER NOT NULL
);
-- id = run.no * 2^32 + seq: one run's facts lie together and need no second index.
CREATE TABLE fact (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  module BLOB,
  attempt INTEGER,
  epoch INTEGER,
  link BLOB NOT NULL,
  body BLOB NOT NULL
);
CREATE TABLE attempt_stream (
  run_no INTEGER NOT NULL,
  module BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  PRIMARY KEY (run_no, module, attempt)
) WITHOUT ROWID;
-- Rows are appended and overwritten in place, never removed: a page that is never rebalanced leaves no stale copy of a key.
CREATE TABLE attempt_key (
  no INTEGER PRIMARY KEY,
  run_no INTEGER NOT NULL,
  module BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  key BLOB NOT NULL
);
CREATE UNIQUE INDEX attempt_key_of ON attempt_key (run_no, module, attempt);
-- form: 0 the bytes as they are, 1 zstd, 2 zstd in the file blobs/<aa>/<hex>.zst.
CREATE TABLE blob (
  no INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  form INTEGER NOT NULL,
  length INTEGER NOT NULL,
  bytes BLOB
);
-- One order only: an append touches a page less; a deletion, which is rare, scans.
CREATE TABLE run_blob (
  digest BLOB NOT NULL,
  run_no INTEGER NOT NULL,
  PRIMARY KEY (digest, run_no)
) WITHOUT ROWID;
-- Receipts and the outbox outlive their run.
CREATE TABLE receipt (
  receipt_id BLOB NOT NULL UNIQUE,
  nullifier BLOB NOT NULL UNIQUE,
  run BLOB NOT NULL,
  module BLOB NOT NULL,
  bundle BLOB NOT NULL,
  UNIQUE (run, module)
);
-- state: 0 queued.
CREATE TABLE outbox (
  receipt_id BLOB PRIMARY KEY,
  state INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE inbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_no INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX inbox_run ON inbox (run_no);
PRAGMA application_id = 1768516196;
PRAGMA user_version = 1;
