-- A closed month is to be added up anew. Parameters: $1 whose ('' is
-- everybody's), $2 the month.
UPDATE closed_months SET statement = '' WHERE organization_id = $1 AND month = $2
