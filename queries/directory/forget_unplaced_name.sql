-- A name from a directory.json, which knew no organizations: it stays where
-- another organization has a user of this id. Parameters: $1 the id, $2 the
-- organization that forgets it.
DELETE FROM names
WHERE kind = 'user' AND organization_id = '' AND id = $1
  AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = $1 AND users.organization_id <> $2)
