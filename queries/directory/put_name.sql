-- Adds a name that holds from a time on. Parameters: the table's columns in order.
INSERT INTO names (kind, organization_id, id, valid_from, name)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, organization_id, id, valid_from) DO UPDATE SET name = excluded.name;
