-- What does a provider report of some UTC days?
--
-- Parameters
--   $provider
--   $organization_id      text: only reports of this organization; empty: all
--   $date_from, $date_to  date
-- Columns: report_kind, usage_date, organization_id, model_name, api_key_id, line_item,
--   cost_type, token_class, service_tier, currency, and the sums of requests, the token
--   classes and amount; a sum is null where no line says anything.
SELECT
    report_kind, usage_date, organization_id, model_name, api_key_id, line_item,
    cost_type, token_class, service_tier, currency,
    sum(requests) AS requests,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(output_tokens) AS output_tokens,
    CAST(sum(amount) AS DECIMAL(38, 12)) AS amount
FROM provider_costs
WHERE provider = $provider
  AND ($organization_id = '' OR organization_id = $organization_id)
  AND usage_date BETWEEN $date_from AND $date_to
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
