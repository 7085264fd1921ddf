-- Moves every change into the database file and empties its log.
PRAGMA wal_checkpoint(TRUNCATE);
