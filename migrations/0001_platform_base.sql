-- Whose rows a transaction may see (store::TenantTx, store::SystemTx), and how a table is protected by it.
-- [postgres]
CREATE FUNCTION bursar_tenant() RETURNS BIGINT LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('bursar.tenant', true), '')::bigint $$;
CREATE FUNCTION bursar_system() RETURNS BOOLEAN LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(current_setting('bursar.system', true), '') = 'on' $$;
-- bursar_protect('table', false): only the tenant's own rows. With true, system transactions see all of them too.
CREATE FUNCTION bursar_protect(protected regclass, system_too BOOLEAN) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', protected);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant_id = bursar_tenant()) WITH CHECK (tenant_id = bursar_tenant())', protected);
    IF system_too THEN
        EXECUTE format('CREATE POLICY system ON %s USING (bursar_system()) WITH CHECK (bursar_system())', protected);
    END IF;
END $$;
-- [end]

-- Work to be done, each row a job. Times are microseconds since 1970 UTC everywhere.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    tenant_id BIGINT,
    payload JSONB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'running', 'done', 'dead')),
    run_at BIGINT NOT NULL,
    lease_until BIGINT,
    worker TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    max_attempts BIGINT NOT NULL,
    dedupe_key TEXT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX jobs_ready ON jobs (run_at) WHERE state = 'ready';
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE state = 'done';
-- At most one job of a key waits, and at most one runs: the claim leaves a key alone while it runs.
CREATE UNIQUE INDEX jobs_waiting_key ON jobs (dedupe_key) WHERE state = 'ready';
CREATE INDEX jobs_running_key ON jobs (dedupe_key) WHERE state = 'running';
-- [postgres]
SELECT bursar_protect('jobs', true);
-- [end]

-- When scheduled work runs next. Claiming a due row and enqueueing its job is one transaction.
CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    next_run_at BIGINT NOT NULL,
    last_run_at BIGINT,
    last_job_id TEXT
);

-- What other parts want to know, written in the transaction that makes it true.
CREATE TABLE notices (
    tenant_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    topic TEXT NOT NULL,
    subject TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
-- [postgres]
SELECT bursar_protect('notices', false);
-- [end]

-- Answers to POST requests that carried an Idempotency-Key.
CREATE TABLE idempotency_keys (
    tenant_id BIGINT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status BIGINT,
    content_type TEXT,
    body BYTEA,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
-- [postgres]
SELECT bursar_protect('idempotency_keys', true);
-- [end]
