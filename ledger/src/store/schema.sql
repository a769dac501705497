-- What a ledger keeps. Digests are 32 bytes.

-- Which ledger this is: 'network', 'origin', 'version'.
CREATE TABLE ledger (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- The log's entries from index 0 on, without gaps; the unique nullifier is what makes credit happen once.
CREATE TABLE entry (
  idx INTEGER PRIMARY KEY,
  receipt BLOB NOT NULL UNIQUE,
  nullifier BLOB NOT NULL UNIQUE,
  class TEXT NOT NULL
) STRICT;

-- The receipt of each entry, as it came: the first half of the evidence should a second come for its nullifier.
CREATE TABLE receipt_file (idx INTEGER PRIMARY KEY, file TEXT NOT NULL) STRICT;

-- Receipts that hold, and whose nullifier was another's.
CREATE TABLE conflict (receipt BLOB PRIMARY KEY, nullifier BLOB NOT NULL, file TEXT NOT NULL) STRICT;
CREATE INDEX conflict_nullifier ON conflict (nullifier);

-- How many entries there are of each class.
CREATE TABLE class_count (class TEXT PRIMARY KEY, entries INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- 'latest', signed by the log in the transaction of its entries, and 'published', cosigned as far as witnesses are asked.
CREATE TABLE head (name TEXT PRIMARY KEY, note TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Certified blocks, each with the published note of its head.
CREATE TABLE block (height INTEGER PRIMARY KEY, size INTEGER NOT NULL, certified TEXT NOT NULL, note TEXT NOT NULL) STRICT;
CREATE INDEX block_size ON block (size);
