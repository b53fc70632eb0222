-- An organization in each of its two environments is a tenant; every other table names it by this number.
CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL DEFAULT 'UTC',
    created_at BIGINT NOT NULL
);
CREATE TABLE tenants (
    tenant_id BIGINT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    UNIQUE (organization_id, environment)
);
-- The administrator's token, by its hash. Shown once; a new one replaces it and ends the sessions that it began.
CREATE TABLE admin_tokens (
    token_hash TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    created_at BIGINT NOT NULL
);
CREATE INDEX admin_tokens_organization ON admin_tokens (organization_id);
-- Console sessions, by the hash of the cookie's value.
CREATE TABLE sessions (
    session_hash TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_organization ON sessions (organization_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);
-- Codes that sign in once, by their hash, for the address that a terminal prints.
CREATE TABLE sign_in_codes (
    code_hash TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_in_codes_organization ON sign_in_codes (organization_id);
CREATE INDEX sign_in_codes_expiry ON sign_in_codes (expires_at);
