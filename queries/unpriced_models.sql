-- Which models have events of unknown cost? The ten with most such events.
-- Columns: model (provider/model_name), events.
SELECT provider || '/' || model_name AS model, sum(unpriced_events) AS events
FROM usage_daily
WHERE unpriced_events <> 0
GROUP BY provider, model_name
ORDER BY events DESC, model
LIMIT 10
