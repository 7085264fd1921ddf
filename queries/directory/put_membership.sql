-- Adds a membership or replaces its end and rank. Parameters: the table's
-- columns in order.
INSERT INTO memberships (organization_id, user_id, team_id, valid_from, valid_to, is_primary)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (organization_id, user_id, team_id, valid_from) DO UPDATE SET
    valid_to = excluded.valid_to,
    is_primary = excluded.is_primary;
