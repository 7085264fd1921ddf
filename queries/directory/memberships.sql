-- Who is, was or will be in which team? Columns: those of the table.
SELECT organization_id, user_id, team_id, valid_from, valid_to, is_primary
FROM memberships ORDER BY organization_id, user_id, team_id, valid_from;
