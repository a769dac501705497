CREATE TABLE attempt_key (
  no INTEGER PRIMARY KEY,
  run_no INTEGER NOT NULL,
  module BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  key BLOB NOT NULL
);
CREATE UNIQUE INDEX attempt_key_of ON attempt_key (run_no, module, attempt);
CREATE TABLE attempt_stream (
  run_no INTEGER NOT NULL,
  module BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  PRIMARY KEY (run_no, module, attempt)
) WITHOUT ROWID;
CREATE TABLE blob (
  no INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  form INTEGER NOT NULL,
  length INTEGER NOT NULL,
  bytes BLOB
);
CREATE TABLE contradiction (
  no INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  body BLOB NOT NULL UNIQUE
);
CREATE TABLE fact (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  module BLOB,
  attempt INTEGER,
  epoch INTEGER,
  link BLOB NOT NULL,
  body BLOB NOT NULL
);
CREATE TABLE inbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_no INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX inbox_run ON inbox (run_no);
CREATE TABLE ledger (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  url TEXT NOT NULL,
  pinned BLOB NOT NULL,
  head TEXT,
  block BLOB
);
CREATE TABLE outbox (
  receipt_id BLOB PRIMARY KEY,
  state INTEGER NOT NULL
, changed_ms INTEGER, at_index INTEGER, detail BLOB, evidence BLOB) WITHOUT ROWID;
CREATE INDEX outbox_state ON outbox (state, at_index);
CREATE TABLE "receipt" (
  receipt_id BLOB NOT NULL UNIQUE,
  nullifier BLOB NOT NULL UNIQUE,
  run BLOB,
  module BLOB,
  collection TEXT,
  revision INTEGER,
  bundle BLOB NOT NULL,
  UNIQUE (run, module),
  CHECK ((run IS NULL) = (module IS NULL)),
  CHECK ((collection IS NULL) = (revision IS NULL)),
  CHECK ((run IS NULL) <> (collection IS NULL))
);
CREATE INDEX receipt_of_collection ON receipt (collection) WHERE collection IS NOT NULL;
CREATE INDEX receipt_of_module ON receipt (module);
CREATE TABLE restored (
  no INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL
);
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
CREATE TABLE run_blob (
  digest BLOB NOT NULL,
  run_no INTEGER NOT NULL,
  PRIMARY KEY (digest, run_no)
) WITHOUT ROWID;
