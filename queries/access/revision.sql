-- How often were tokens, accounts and sessions changed? Columns: revision.
SELECT revision FROM access_revision WHERE id = 1;
