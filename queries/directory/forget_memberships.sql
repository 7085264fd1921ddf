-- Memberships go on under the pseudonym.
UPDATE memberships SET user_id = $1 WHERE organization_id = $2 AND user_id = $3
