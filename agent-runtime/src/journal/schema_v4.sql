-- Journal schema 4: receipts of ingests stand beside those of modules. Frozen: a change is a new file and a new version, never an
-- edit here. A receipt is of a module of a run, or of the ingest that led a collection to a revision. Rows keep their numbers, which
-- say in which order receipts were sealed.
CREATE TABLE receipt_4 (
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
INSERT INTO receipt_4 (rowid, receipt_id, nullifier, run, module, bundle)
  SELECT rowid, receipt_id, nullifier, run, module, bundle FROM receipt;
DROP TABLE receipt;
ALTER TABLE receipt_4 RENAME TO receipt;
CREATE INDEX receipt_of_module ON receipt (module);
CREATE INDEX receipt_of_collection ON receipt (collection) WHERE collection IS NOT NULL;
PRAGMA user_version = 4;
