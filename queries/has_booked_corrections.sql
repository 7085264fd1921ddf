-- Does any correction of a closed month stand on another day than the event
-- that it corrects? Answers no row, or one.
SELECT correction_of_period
FROM usage_events
WHERE correction_of_period IS NOT NULL
LIMIT 1
