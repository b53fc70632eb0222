-- Secrets, sealed with AES-256-GCM and bound to their row (vault::seal).
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
CREATE INDEX vault_secrets_owner ON vault_secrets (tenant_id, owner_id, purpose);
CREATE INDEX vault_secrets_key ON vault_secrets (key_id);
-- [postgres]
SELECT bursar_protect('vault_secrets', true);
-- [end]

-- One Stripe account (or other provider's account) linked to an organization.
CREATE TABLE connections (
    tenant_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    account_id TEXT NOT NULL,
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
-- [postgres]
SELECT bursar_protect('connections', true);
-- [end]
