-- Notes that a person asked to be forgotten, so that the work can go on after
-- a crash.
INSERT INTO erasures (pseudonym, organization_id, user_id, started_at, finished_at)
VALUES ($1, $2, $3, $4, NULL)
