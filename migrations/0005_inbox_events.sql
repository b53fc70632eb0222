-- What Stripe told us, one small row an event. `next_try_at` is there exactly as long as something is left to do, so
-- that one partial index finds the due ones.
CREATE TABLE inbox_events (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    api_version TEXT,
    event_created BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    object_type TEXT,
    object_id TEXT,
    thin BOOLEAN NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('webhook', 'sweep', 'manual')),
    state TEXT NOT NULL CHECK (state IN ('ready', 'processed', 'failed', 'dead')),
    retry_count BIGINT NOT NULL DEFAULT 0,
    next_try_at BIGINT,
    last_error TEXT,
    processed_at BIGINT,
    CHECK ((next_try_at IS NOT NULL) = (state IN ('ready', 'failed'))),
    PRIMARY KEY (tenant_id, event_id, connection_id)
)
-- [sqlite]
-- The row lives in its key's own tree: one tree less to write for each acknowledgement.
WITHOUT ROWID
-- [end]
;
CREATE INDEX inbox_events_due ON inbox_events (tenant_id, next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX inbox_events_recent ON inbox_events (tenant_id, received_at);
CREATE INDEX inbox_events_troubled ON inbox_events (tenant_id, received_at) WHERE state IN ('failed', 'dead');
-- [postgres]
SELECT bursar_protect('inbox_events', true);
-- [end]

-- The bytes of each event as they came; apart, so that a change of state does not write them again.
CREATE TABLE inbox_payloads (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant_id, event_id, connection_id)
);
-- [postgres]
-- Events have 2 to 4 KB: kept in the row as they are, since compressing each would cost more than storing it.
ALTER TABLE inbox_payloads SET (toast_tuple_target = 8160);
SELECT bursar_protect('inbox_payloads', true);
-- [end]

-- What was processed, by connection and hour: the figures of the overview, without counting events. Zero times mean never.
CREATE TABLE inbox_tallies (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    hour BIGINT NOT NULL,
    processed BIGINT NOT NULL,
    by_webhook BIGINT NOT NULL,
    missed BIGINT NOT NULL,
    last_webhook_at BIGINT NOT NULL,
    last_missed_at BIGINT NOT NULL,
    last_received_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, hour)
);
-- [postgres]
SELECT bursar_protect('inbox_tallies', true);
-- [end]
