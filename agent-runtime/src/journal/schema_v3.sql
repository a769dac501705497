-- Journal schema 3: receipts are found by their module. Frozen: a change is a new file and a new version, never an edit here.
-- A fork's modules have the ids of the run that it comes from: of the receipts of one module only the first is handed in.
CREATE INDEX receipt_of_module ON receipt (module);
PRAGMA user_version = 3;
