-- Ends an erasure: who it was, and whose user, is forgotten here too.
-- Parameters: $1 when, $2 the pseudonym.
UPDATE erasures SET organization_id = '', user_id = '', finished_at = $1 WHERE pseudonym = $2
