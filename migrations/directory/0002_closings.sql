-- Months whose rows never change again. organization_id '': of everybody.
-- statement: what the month added up to when it was closed, as JSON; empty
-- while it is being added up.
CREATE TABLE closed_months (
    organization_id TEXT NOT NULL,
    month TEXT NOT NULL,
    closed_at BIGINT NOT NULL,
    statement TEXT NOT NULL,
    PRIMARY KEY (organization_id, month)
);

-- People who asked to be forgotten. user_id and organization_id stand here
-- only while the work is under way, so that it can go on after a crash.
CREATE TABLE erasures (
    pseudonym TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
);
