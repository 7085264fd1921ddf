-- Which events have no known cost, by provider and model? The models with the
-- most such events first.
-- Columns: provider, model_name, events, organizations, first_date,
-- last_date.
SELECT
    provider, model_name,
    sum(unpriced_events) AS events,
    count(DISTINCT organization_id) AS organizations,
    min(usage_date) AS first_date,
    max(usage_date) AS last_date
FROM usage_daily
WHERE unpriced_events <> 0
GROUP BY provider, model_name
HAVING sum(unpriced_events) > 0
ORDER BY events DESC, provider, model_name
