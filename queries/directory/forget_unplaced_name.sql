-- A name from a directory.json, which knew no organizations.
DELETE FROM names WHERE kind = 'user' AND organization_id = '' AND id = $1
