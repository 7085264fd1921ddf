-- What did we record of a provider, by the UTC day of the call and by the day
-- it is booked on?
--
-- Parameters
--   $provider
--   $organization_ids     list of texts, null: all
--   $date_from, $date_to  date: the days in question, both of the call and of the booking
--   $date_read_from       date: the day before the first, since a local date lies at most a day
--                         from the UTC date; a correction of a closed month is booked later, so
--                         there is no last one
-- Columns: utc_date, usage_date, corrected (booked later because its month was closed),
--   model_name, api_key_id, requests, the token classes, cost (the known ones), and of the
--   events without a cost: unpriced_requests and their token classes.
SELECT
    CAST(event_time AS DATE) AS utc_date,
    usage_date,
    correction_of_period IS NOT NULL AS corrected,
    model_name,
    api_key_id,
    CAST(sum(quantity) AS BIGINT) AS requests,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(output_tokens) AS output_tokens,
    CAST(sum(actual_api_cost) AS DECIMAL(38, 12)) AS cost,
    CAST(sum(CASE WHEN actual_api_cost IS NULL THEN quantity ELSE 0 END) AS BIGINT)
        AS unpriced_requests,
    sum(CASE WHEN actual_api_cost IS NULL THEN input_tokens ELSE 0 END) AS unpriced_input_tokens,
    sum(CASE WHEN actual_api_cost IS NULL THEN cache_read_tokens ELSE 0 END)
        AS unpriced_cache_read_tokens,
    sum(CASE WHEN actual_api_cost IS NULL THEN cache_write_tokens ELSE 0 END)
        AS unpriced_cache_write_tokens,
    sum(CASE WHEN actual_api_cost IS NULL THEN cache_write_1h_tokens ELSE 0 END)
        AS unpriced_cache_write_1h_tokens,
    sum(CASE WHEN actual_api_cost IS NULL THEN output_tokens ELSE 0 END) AS unpriced_output_tokens
FROM usage_events
WHERE provider = $provider
  AND ($organization_ids IS NULL OR array_has($organization_ids, organization_id))
  AND usage_date >= $date_read_from
  AND (
      usage_date BETWEEN $date_from AND $date_to
      OR CAST(event_time AS DATE) BETWEEN $date_from AND $date_to
  )
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5
