-- Movements of money as objects tell of them. Clustered by payment, because invoices are found by it.
-- No foreign keys: a reference may arrive before its target.
CREATE TABLE revenue_facts (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    -- The payment intent, or else the charge.
    payment_key TEXT NOT NULL,
    fact_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('charge', 'refund', 'refund_failure', 'dispute', 'dispute_reversal', 'payout', 'payout_reversal')),
    object_id TEXT NOT NULL,
    charge_id TEXT,
    occurred_at BIGINT NOT NULL,
    -- Days since 1970-01-01 in UTC.
    day BIGINT NOT NULL,
    currency TEXT NOT NULL,
    -- Signed as the balance changes.
    amount_minor BIGINT NOT NULL,
    balance_transaction_id TEXT,
    customer_id TEXT,
    -- Of payouts: made by schedule, so that it takes all that is available.
    automatic BOOLEAN NOT NULL,
    -- The user's own fields, as JSON text: escapes that JSONB refuses are kept.
    metadata TEXT,
    PRIMARY KEY (tenant_id, payment_key, account_id, fact_id)
)
-- [sqlite]
WITHOUT ROWID
-- [end]
;
-- Keys and indexes share no more than the tenant: before a table is analysed PostgreSQL takes tenant and account together
-- for a single row, and would walk a whole account for each payment.
CREATE INDEX revenue_facts_day ON revenue_facts (tenant_id, day);
-- [postgres]
SELECT bursar_protect('revenue_facts', false);
-- [end]

-- The other side of the proof: movements of the balance, in the currency of settlement.
CREATE TABLE revenue_balance_transactions (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- Stripe's reporting category: charge, refund, dispute, fee, payout, …
    category TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    available_on BIGINT NOT NULL,
    day BIGINT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    -- The sum of its single fees.
    fee_parts_minor BIGINT NOT NULL,
    net_minor BIGINT NOT NULL,
    source_id TEXT,
    -- As Stripe wrote it; none without conversion.
    exchange_rate TEXT,
    PRIMARY KEY (tenant_id, id, account_id)
)
-- [sqlite]
WITHOUT ROWID
-- [end]
;
-- [postgres]
SELECT bursar_protect('revenue_balance_transactions', false);
-- [end]

-- What each invoice sells: an array of {product, amount, quantity}.
CREATE TABLE revenue_invoices (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    lines TEXT NOT NULL,
    PRIMARY KEY (tenant_id, invoice_id, account_id)
)
-- [sqlite]
WITHOUT ROWID
-- [end]
;
-- [postgres]
SELECT bursar_protect('revenue_invoices', false);
-- [end]

-- Which payment pays which invoice.
CREATE TABLE revenue_invoice_payments (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    payment_key TEXT NOT NULL,
    id TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, payment_key, account_id, id)
)
-- [sqlite]
WITHOUT ROWID
-- [end]
;
CREATE INDEX revenue_invoice_payments_invoice ON revenue_invoice_payments (tenant_id, invoice_id);
-- [postgres]
SELECT bursar_protect('revenue_invoice_payments', false);
-- [end]

CREATE TABLE revenue_products (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id, account_id)
);
-- [postgres]
SELECT bursar_protect('revenue_products', false);
-- [end]

-- Totals by day, kept up by differences in the transaction that changes the rows they come from.
CREATE TABLE revenue_daily (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    currency TEXT NOT NULL,
    gross_minor BIGINT NOT NULL,
    refunds_minor BIGINT NOT NULL,
    disputes_minor BIGINT NOT NULL,
    fees_minor BIGINT NOT NULL,
    charges BIGINT NOT NULL,
    refunds BIGINT NOT NULL,
    disputes BIGINT NOT NULL,
    fees BIGINT NOT NULL,
    -- The day's dimensions have to be drawn from its rows again.
    dimensions_stale BOOLEAN NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, currency, account_id)
)
-- [sqlite]
WITHOUT ROWID
-- [end]
;
CREATE INDEX revenue_daily_stale ON revenue_daily (tenant_id, day) WHERE dimensions_stale;
-- [postgres]
SELECT bursar_protect('revenue_daily', false);
-- [end]

-- What a day's charges were for: by product and by the user's own fields. The largest values of each; the others
-- together are one row with rest = TRUE and an empty value.
CREATE TABLE revenue_daily_dimensions (
    tenant_id BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    currency TEXT NOT NULL,
    -- all, product, or metadata.KEY.
    dimension TEXT NOT NULL,
    rest BOOLEAN NOT NULL,
    value TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    units BIGINT NOT NULL,
    charges BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, currency, account_id, dimension, rest, value)
)
-- [sqlite]
WITHOUT ROWID
-- [end]
;
-- [postgres]
SELECT bursar_protect('revenue_daily_dimensions', false);
-- [end]
