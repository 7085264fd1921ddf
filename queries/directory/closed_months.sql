-- Every closed month, in order.
SELECT organization_id, month, closed_at, statement
FROM closed_months
ORDER BY month, organization_id
