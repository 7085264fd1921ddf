-- How does SQLite keep the directory? Readers do not wait for a writer, a
-- commit is on disk when it returns, references hold, a writer waits its turn,
-- and what is deleted is overwritten.
PRAGMA busy_timeout = 5000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA secure_delete = ON;
