-- Whether a connection's webhooks arrive, as it was last told (inbox::liveness): a notice goes out once for a silence.
CREATE TABLE inbox_liveness (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    state TEXT NOT NULL,
    -- A notice of the silence went out, and none of its end.
    noticed BOOLEAN NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id)
);
-- [postgres]
SELECT bursar_protect('inbox_liveness', true);
-- [end]
