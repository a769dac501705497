-- Journal schema 5: when this journal was made from a backup. Frozen: a change is a new file and a new version, never an edit
-- here. What a home did after a backup was taken may stand at its ledger already, which is asked before anything is handed in.
CREATE TABLE restored (
  no INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL
);
PRAGMA user_version = 5;
