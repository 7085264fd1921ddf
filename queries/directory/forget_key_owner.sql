-- Keys belong to the pseudonym.
UPDATE api_keys SET owner_user_id = $1 WHERE organization_id = $2 AND owner_user_id = $3
