-- Removes an account. Parameters: $1 its id.
DELETE FROM accounts WHERE id = $1;
