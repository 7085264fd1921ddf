-- Who may ask. No secret is stored that could be shown again: of a token, a
-- session and the setup code only a hash, of a password its argon2id hash.

-- One row: grows with every change of tokens, accounts and sessions (not with
-- their use), so that another node sees that there is something to read.
CREATE TABLE access_revision (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
);

INSERT INTO access_revision (id, revision) VALUES (1, 0);

-- hash: SHA-256 of the whole token, hexadecimal. scram_…: the salt and the
-- salted password of SCRAM-SHA-256, hexadecimal. grants: a JSON array. scopes:
-- a JSON array; none: they narrow nothing. owner: the account or token that
-- this one belongs to and ends with; none: it stands alone. replaced_by,
-- overlap_until: the token that took its place, and until when this one is
-- still taken.
CREATE TABLE access_tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    scram_salt TEXT NOT NULL,
    scram_salted_password TEXT NOT NULL,
    grants TEXT NOT NULL,
    scopes TEXT,
    owner TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    replaced_by TEXT,
    overlap_until BIGINT
);

-- email: in lower case. password_hash: as a PHC string; none where an identity
-- provider vouches, which calls the person issuer and subject.
-- initial_password_hash: of the password that the settings brought in, to tell
-- a new one from the same one.
CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    email TEXT UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT,
    initial_password_hash TEXT,
    issuer TEXT,
    subject TEXT,
    grants TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    UNIQUE (issuer, subject)
);

-- hash: SHA-256 of the session's secret, hexadecimal. Whose it is: an account,
-- or else a principal as JSON.
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    account_id TEXT,
    principal TEXT,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    user_agent TEXT
);

-- The code that makes the first administrator: at most one row.
CREATE TABLE setup_code (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    hash TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
