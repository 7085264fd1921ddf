-- Ends an erasure: who it was is forgotten here too.
UPDATE erasures SET user_id = '', finished_at = $1 WHERE pseudonym = $2
