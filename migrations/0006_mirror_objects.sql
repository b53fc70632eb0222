-- The newest known version of each of Stripe's objects. What is queried stands beside the body, which is kept as it came.
-- No foreign keys: a reference may arrive before its target.
CREATE TABLE mirror_objects (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at BIGINT,
    -- The latest begin and the latest end of all that was seen of it (mirror::order).
    seen_begin BIGINT NOT NULL,
    seen_end BIGINT NOT NULL,
    deleted BOOLEAN NOT NULL,
    contested BOOLEAN NOT NULL,
    stub BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant_id, account_id, object_type, id)
);
-- [postgres]
SELECT bursar_protect('mirror_objects', false);
-- Ordered by bytes, as SQLite and the program order them: a rebuild's place is compared by both. It is faster, too.
ALTER TABLE mirror_objects
    ALTER COLUMN account_id TYPE TEXT COLLATE "C",
    ALTER COLUMN object_type TYPE TEXT COLLATE "C",
    ALTER COLUMN id TYPE TEXT COLLATE "C";
-- Bodies of 2 to 4 KB compress to a third; the default method costs more time than the disk it saves.
DO $$ BEGIN
    ALTER TABLE mirror_objects ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL;
END $$;
-- [end]

-- How many objects there are of each kind, kept up in the transaction that stores them.
CREATE TABLE mirror_counts (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    objects BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    contested BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, account_id, object_type)
);
-- [postgres]
SELECT bursar_protect('mirror_counts', false);
-- [end]

-- Projections that are being made anew: what stands behind the place is not theirs yet, and is told to them when the
-- rebuild gets there.
CREATE TABLE mirror_rebuilds (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    projection TEXT NOT NULL,
    object_type TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, account_id, projection)
);
-- [postgres]
SELECT bursar_protect('mirror_rebuilds', false);
-- [end]

-- Objects to be read again by their id: contested ones, and those whose event carried no body that we understand.
CREATE TABLE mirror_rereads (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'refused')),
    -- Not before this time: an answer has to begin after everything that was seen.
    due_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    last_error TEXT,
    PRIMARY KEY (tenant_id, account_id, object_type, id)
);
CREATE INDEX mirror_rereads_due ON mirror_rereads (tenant_id, connection_id, due_at) WHERE state = 'waiting';
-- [postgres]
SELECT bursar_protect('mirror_rereads', false);
-- [end]

-- How far the event list and the list of balance transactions were read, by connection.
CREATE TABLE mirror_streams (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    -- Everything before this event was read; none while the account has no event yet.
    anchor_event_id TEXT,
    -- When the anchor was created; everything before was read.
    anchor_at BIGINT NOT NULL,
    -- The newest event that was seen in the list.
    newest_event_at BIGINT,
    last_sweep_at BIGINT,
    -- Balance transactions created before this time were read.
    balance_through_at BIGINT NOT NULL,
    last_balance_read_at BIGINT,
    last_sample_at BIGINT,
    PRIMARY KEY (tenant_id, connection_id)
);
-- [postgres]
SELECT bursar_protect('mirror_streams', false);
-- [end]

-- What is known to be complete: all objects of a kind that were created up to a moment, and the changes since by events.
CREATE TABLE mirror_coverage (
    tenant_id BIGINT NOT NULL,
    connection_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'complete', 'forbidden', 'throttled', 'failed')),
    reason TEXT,
    covered_from BIGINT,
    covered_until BIGINT,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, object_type)
);
-- [postgres]
SELECT bursar_protect('mirror_coverage', false);
-- [end]

CREATE TABLE mirror_sync_jobs (
    tenant_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('full', 'incremental')),
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'failed')),
    requested_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    -- Nothing created after this moment is listed: that comes by events.
    ceiling_at BIGINT,
    error_code TEXT,
    error TEXT,
    -- Calls made, events found that no webhook had brought, objects that had changed without an event.
    calls BIGINT NOT NULL DEFAULT 0,
    events_found BIGINT NOT NULL DEFAULT 0,
    silent_changes BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id)
);
-- Never two at once for a connection, and at most one that waits.
CREATE UNIQUE INDEX mirror_sync_jobs_one ON mirror_sync_jobs (tenant_id, connection_id, state) WHERE state IN ('pending', 'running');
CREATE INDEX mirror_sync_jobs_list ON mirror_sync_jobs (tenant_id, connection_id, id);
-- [postgres]
SELECT bursar_protect('mirror_sync_jobs', false);
-- [end]

-- One kind of objects within a sync job.
CREATE TABLE mirror_sync_parts (
    tenant_id BIGINT NOT NULL,
    job_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'complete', 'forbidden', 'throttled', 'failed')),
    reason TEXT,
    -- The oldest second to be read; none for everything.
    from_second BIGINT,
    to_second BIGINT NOT NULL,
    objects BIGINT NOT NULL,
    pages BIGINT NOT NULL,
    remaining BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, job_id, object_type)
);
-- [postgres]
SELECT bursar_protect('mirror_sync_parts', false);
-- [end]

-- A span of creation times within a part, read from its newest second to its oldest. What is read and what remains is
-- stored with each page, in the transaction that absorbs it.
CREATE TABLE mirror_sync_ranges (
    tenant_id BIGINT NOT NULL,
    job_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    number BIGINT NOT NULL,
    from_second BIGINT,
    to_second BIGINT NOT NULL,
    -- The last object that was read; the next page begins after it.
    cursor_id TEXT,
    pages BIGINT NOT NULL,
    objects BIGINT NOT NULL,
    done BOOLEAN NOT NULL,
    PRIMARY KEY (tenant_id, job_id, object_type, number)
);
-- [postgres]
SELECT bursar_protect('mirror_sync_ranges', false);
-- [end]
