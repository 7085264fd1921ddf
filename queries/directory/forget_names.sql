-- What the user was called.
DELETE FROM names WHERE kind = 'user' AND organization_id = $1 AND id = $2
