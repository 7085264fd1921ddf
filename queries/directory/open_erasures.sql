-- Erasures that are not finished, oldest first.
SELECT pseudonym, organization_id, user_id
FROM erasures
WHERE finished_at IS NULL
ORDER BY started_at, pseudonym
