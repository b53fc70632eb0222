-- What is to be done at Stripe, recorded before it is done (gateway::intent).
CREATE TABLE gateway_intents (
    tenant_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    subject TEXT NOT NULL,
    lane TEXT NOT NULL CHECK (lane IN ('interactive', 'background')),
    -- The call as JSON text, without its idempotency key: that follows from the id and the generation.
    request TEXT NOT NULL,
    key_generation BIGINT NOT NULL DEFAULT 0,
    on_account TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'done', 'refused', 'in_doubt')),
    tries BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- First and last time it was sent under its present key.
    sent_since BIGINT,
    sent_last BIGINT,
    failed_at_stripe BOOLEAN NOT NULL DEFAULT FALSE,
    -- What Stripe answered, without secrets; or why it refused.
    answer JSONB,
    refusal JSONB,
    -- Why it is in doubt, or what went wrong last.
    last_error TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX gateway_intents_open ON gateway_intents (updated_at) WHERE state IN ('pending', 'sent');
CREATE INDEX gateway_intents_by_connection ON gateway_intents (tenant_id, connection_id, id);
-- [postgres]
SELECT bursar_protect('gateway_intents', true);
-- [end]

-- Calls per connection and UTC day (days since 1970), each try counted: Stripe allows only so many reads in 30 days.
CREATE TABLE gateway_calls (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    reads BIGINT NOT NULL,
    writes BIGINT NOT NULL,
    throttled BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, day)
);
-- [postgres]
SELECT bursar_protect('gateway_calls', true);
-- [end]
