-- Which code makes the first administrator? At most one row. Columns: those
-- of the table.
SELECT hash, expires_at, used_at FROM setup_code WHERE id = 1;
