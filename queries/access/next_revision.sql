-- Takes the next revision, and with it the turn: whoever holds it is the only
-- one who changes access until the transaction ends, in SQLite and in
-- PostgreSQL. Columns: revision.
UPDATE access_revision SET revision = revision + 1 WHERE id = 1 RETURNING revision;
