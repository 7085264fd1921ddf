-- Who the events are about. Times are microseconds since 1970 in UTC; both
-- databases know TEXT and BIGINT alike, so there are no other types.

-- One row: grows with every change, so that another node sees that there is
-- something to read. shown: the revision of the last change that can show in
-- an answer; registering an id on sight changes no answer.
CREATE TABLE revision (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL,
    shown BIGINT NOT NULL
);

INSERT INTO revision (id, revision, shown) VALUES (1, 0, 0);

-- origin: declared (by a person) or seen (in an event).
CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    default_department TEXT,
    origin TEXT NOT NULL,
    deleted_at BIGINT
);

-- The id is what events say in their column department.
CREATE TABLE departments (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    origin TEXT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (organization_id, id)
);

CREATE TABLE teams (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    department TEXT,
    origin TEXT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (organization_id, id)
);

CREATE TABLE users (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    origin TEXT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (organization_id, id)
);

-- The key itself is never stored: id is what names it in events.
CREATE TABLE api_keys (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    provider TEXT,
    environment TEXT,
    owner_user_id TEXT,
    team_id TEXT,
    origin TEXT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (organization_id, id)
);

-- valid_from is inclusive, valid_to exclusive; no valid_to: still a member.
CREATE TABLE memberships (
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_to BIGINT,
    is_primary BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id, team_id, valid_from),
    FOREIGN KEY (organization_id, user_id) REFERENCES users (organization_id, id),
    FOREIGN KEY (organization_id, team_id) REFERENCES teams (organization_id, id)
);

-- What everything was called since when. Without an organization (''): a name
-- from a directory.json, which knew no organizations of teams, users and keys.
CREATE TABLE names (
    kind TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    id TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, organization_id, id, valid_from)
);

-- Who changed what, whatever kind of thing it is. The ids sort by time.
CREATE TABLE audit_log (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL
);
