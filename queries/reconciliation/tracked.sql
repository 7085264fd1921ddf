-- Which models and keys of a provider did we ever see an event of?
--
-- Parameters: $provider; $organization_ids (list of texts, null: all).
-- Columns: model_name, api_key_id.
SELECT DISTINCT model_name, api_key_id
FROM usage_daily
WHERE provider = $provider
  AND ($organization_ids IS NULL OR array_has($organization_ids, organization_id))
ORDER BY 1, 2
