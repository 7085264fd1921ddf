-- Closes a month, once.
INSERT INTO closed_months (organization_id, month, closed_at, statement)
VALUES ($1, $2, $3, '')
ON CONFLICT (organization_id, month) DO NOTHING
