-- How often was the directory changed? Columns: revision, shown.
SELECT revision, shown FROM revision WHERE id = 1;
