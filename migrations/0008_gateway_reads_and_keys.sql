-- What reads were for (gateway::reads); what is in none of these was for something else.
ALTER TABLE gateway_calls ADD COLUMN reads_sync BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateway_calls ADD COLUMN reads_sweep BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateway_calls ADD COLUMN reads_reread BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateway_calls ADD COLUMN reads_probe BIGINT NOT NULL DEFAULT 0;

-- What was last found out about a connection's key (gateway::key_check); one row a connection.
CREATE TABLE gateway_key_reports (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    checked_at BIGINT NOT NULL,
    report JSONB NOT NULL,
    PRIMARY KEY (tenant_id, connection_id)
);
-- [postgres]
SELECT bursar_protect('gateway_key_reports', true);
-- [end]

-- What Stripe refused to a connection's key for want of a permission, by verb and path pattern.
CREATE TABLE gateway_denials (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    -- As Stripe named it; empty where it named none.
    permission TEXT NOT NULL,
    message TEXT NOT NULL,
    denials BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, endpoint)
);
-- [postgres]
SELECT bursar_protect('gateway_denials', true);
-- [end]

-- A connection's webhook endpoint as it was last seen at Stripe (gateway::webhook_endpoint).
CREATE TABLE gateway_endpoints (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('enabled', 'other_address', 'disabled', 'gone')),
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id)
);
-- [postgres]
SELECT bursar_protect('gateway_endpoints', true);
-- [end]
