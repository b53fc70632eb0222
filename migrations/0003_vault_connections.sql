-- Secrets, sealed with AES-256-GCM and bound to their row (vault::seal). From retired_at on a secret opens no more.
CREATE TABLE vault_secrets (
    tenant_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
-- Owners' ids are unique by themselves: the hot path asks for many owners of many tenants at once.
CREATE INDEX vault_secrets_owner ON vault_secrets (owner_id, purpose);
CREATE INDEX vault_secrets_key ON vault_secrets (key_id);
CREATE INDEX vault_secrets_retired ON vault_secrets (retired_at) WHERE retired_at IS NOT NULL;
-- [postgres]
SELECT bursar_protect('vault_secrets', true);
-- [end]

-- One Stripe account (or other provider's account) linked to an organization. The environment is the tenant's, kept
-- here because a webhook has to be held against it before anything else is known.
CREATE TABLE connections (
    tenant_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    account_id TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    display_name TEXT NOT NULL,
    key_hint TEXT NOT NULL,
    key_kind TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'key_refused', 'disconnected')),
    state_reason TEXT,
    lookback_days BIGINT,
    api_base TEXT,
    webhook_endpoint_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_good_call_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX connections_account ON connections (tenant_id, provider, account_id) WHERE state <> 'disconnected';
CREATE UNIQUE INDEX connections_id ON connections (id);
CREATE INDEX connections_any_account ON connections (account_id);
-- [postgres]
SELECT bursar_protect('connections', true);
-- [end]
