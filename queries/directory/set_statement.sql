-- Keeps what a closed month added up to; the first statement stays.
UPDATE closed_months SET statement = $1
WHERE organization_id = $2 AND month = $3 AND statement = ''
