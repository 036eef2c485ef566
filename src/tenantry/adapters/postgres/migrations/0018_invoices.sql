-- Invoices and the billing book: what is owed, beside the customer's book of list charges.
--
-- `receivable_unbilled` of the customer's book is moved by the billing book: adjustments bring list
-- charges to the sum before tax, `invoiced` moves that sum to `receivable`. So, in each currency,
-- charges + adjustments = invoiced + unbilled. A row is a transfer, as in the customer's book.
-- Which usage an invoice holds is written beside it (`invoice_usage`), so that what an earlier or a
-- later invoice holds is subtracted, never guessed from times; a void frees its rows.

CREATE TABLE tenantry.invoice_series (
  series text   PRIMARY KEY,  -- INV-2026
  last   bigint NOT NULL CHECK (last >= 0)
);
COMMENT ON TABLE tenantry.invoice_series IS
  'The last number of each series: a row that is locked, for numbers without a gap.';

CREATE TABLE tenantry.invoice (
  tenant_id        text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  invoice_id       text COLLATE "C" NOT NULL CHECK (invoice_id ~ '^inv_[0-9a-z]{26}$'),
  kind             text        NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
  status           text        NOT NULL DEFAULT 'final' CHECK (status IN ('final', 'void')),
  number           text COLLATE "C" NOT NULL,
  series           text        NOT NULL,
  series_number    bigint      NOT NULL,
  period_start     timestamptz NOT NULL,
  period_end       timestamptz NOT NULL,
  watermark        timestamptz NOT NULL,  -- the ledger was read up to here
  issued_at        timestamptz NOT NULL,
  due_at           timestamptz NOT NULL,
  currency         text        NOT NULL,
  total            numeric     NOT NULL,
  credit           numeric     NOT NULL,
  due              numeric     NOT NULL,
  contract_version integer     NOT NULL,
  credits_number   text,  -- of a credit note: the invoice that it credits
  posting_id       uuid        NOT NULL,
  document         bytea       NOT NULL,  -- canonical JSON
  sha256           bytea       NOT NULL CHECK (sha256 = pg_catalog.sha256(document)),
  voided_at        timestamptz,
  void_reason      text,
  PRIMARY KEY (tenant_id, invoice_id),
  UNIQUE (tenant_id, number),
  CHECK ((status = 'void') = (voided_at IS NOT NULL)),
  CHECK ((kind = 'credit_note') = (credits_number IS NOT NULL))
);
CREATE UNIQUE INDEX invoice_live ON tenantry.invoice (tenant_id, period_start)
  WHERE kind = 'invoice' AND status = 'final';
COMMENT ON TABLE tenantry.invoice IS 'Final documents, each with its bytes; a void one stays.';

CREATE TABLE tenantry.invoice_usage (
  tenant_id    text COLLATE "C" NOT NULL,
  invoice_id   text COLLATE "C" NOT NULL,
  period_start timestamptz NOT NULL,  -- of the usage: an earlier period's is an adjustment
  model        text        NOT NULL,
  token_class  text        NOT NULL,
  unit_price   numeric     NOT NULL,
  quantity     bigint      NOT NULL,
  charge       numeric     NOT NULL,  -- list charge in USD, unrounded
  PRIMARY KEY (tenant_id, invoice_id, period_start, model, token_class, unit_price),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES tenantry.invoice
);
CREATE INDEX invoice_usage_period ON tenantry.invoice_usage (tenant_id, period_start);
COMMENT ON TABLE tenantry.invoice_usage IS 'Which usage of the ledger an invoice holds.';

CREATE TABLE tenantry.billing_entry (
  tenant_id    text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  posting_id   uuid        NOT NULL,
  line         smallint    NOT NULL,
  invoice_id   text COLLATE "C",
  period_start timestamptz,
  kind         text        NOT NULL,
  debit        text        NOT NULL,
  credit       text        NOT NULL CHECK (credit <> debit),
  amount       numeric     NOT NULL,
  currency     text        NOT NULL,
  note         text        NOT NULL DEFAULT '',
  posted_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, posting_id, line),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES tenantry.invoice
);
COMMENT ON TABLE tenantry.billing_entry IS
  'The billing book: adjustments, what is invoiced, tax, prepaid credit.';

CREATE VIEW tenantry.billing_ledger WITH (security_invoker = true) AS
SELECT e.tenant_id, e.posting_id, e.line, e.invoice_id, e.period_start, e.kind, leg.account,
       leg.amount, e.currency, e.note, e.posted_at
FROM tenantry.billing_entry e
CROSS JOIN LATERAL (VALUES (e.debit, e.amount), (e.credit, -e.amount)) AS leg (account, amount);
COMMENT ON VIEW tenantry.billing_ledger IS 'Both legs of every posting of the billing book.';

-- What waits for a person's word, and what each round came to. Neither is accounting: control
-- writes them, and nothing is lost with them.
CREATE TABLE tenantry.invoice_draft (
  tenant_id      text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  period_start   timestamptz NOT NULL,
  period_end     timestamptz NOT NULL,
  document       bytea       NOT NULL,
  content_sha256 text        NOT NULL CHECK (content_sha256 ~ '^[0-9a-f]{64}$'),
  stored_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, period_start)
);
COMMENT ON TABLE tenantry.invoice_draft IS 'Drafts under review, each with the hash to approve.';

CREATE TABLE tenantry.invoice_run (
  tenant_id    text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  period_start timestamptz NOT NULL,
  period_end   timestamptz NOT NULL,
  outcome      text        NOT NULL CHECK (outcome IN ('final', 'review', 'nothing', 'trouble')),
  detail       text        NOT NULL,  -- a number, a hash, or why not
  watermark    timestamptz,
  tried_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, period_start)
);
COMMENT ON TABLE tenantry.invoice_run IS 'What became of each period when its invoice was due.';

-- Whatever is posted to a period after it was invoiced is an adjustment or a reversal.
CREATE INDEX charge_entry_late ON tenantry.charge_entry (tenant_id, admitted_at)
  WHERE kind <> 'usage';

GRANT SELECT ON tenantry.invoice_series, tenantry.invoice, tenantry.invoice_usage,
  tenantry.billing_entry, tenantry.invoice_draft, tenantry.invoice_run
  TO tenantry_gate, tenantry_control, tenantry_operator;
GRANT SELECT ON tenantry.billing_ledger TO tenantry_control, tenantry_operator;
GRANT SELECT ON tenantry.invoice, tenantry.invoice_usage, tenantry.billing_entry,
  tenantry.invoice_run TO tenantry_app;
GRANT INSERT, UPDATE ON tenantry.invoice_series TO tenantry_gate;
GRANT INSERT ON tenantry.invoice, tenantry.invoice_usage, tenantry.billing_entry TO tenantry_gate;
GRANT UPDATE (status, voided_at, void_reason) ON tenantry.invoice TO tenantry_gate;
GRANT INSERT, UPDATE, DELETE ON tenantry.invoice_draft, tenantry.invoice_run TO tenantry_control;

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY[
    'invoice', 'invoice_usage', 'billing_entry', 'invoice_draft', 'invoice_run'
  ] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY own_tenant ON tenantry.%I FOR SELECT TO tenantry_app '
      'USING (tenant_id = current_setting(''tenantry.tenant'', true))', table_name);
    EXECUTE format('CREATE POLICY across_tenants ON tenantry.%I '
      'TO tenantry_gate, tenantry_control, tenantry_operator '
      'USING (true) WITH CHECK (true)', table_name);
  END LOOP;
  FOREACH table_name IN ARRAY ARRAY['invoice_usage', 'billing_entry'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE '
      'ON tenantry.%I EXECUTE FUNCTION tenantry.refuse_change()', table_name);
  END LOOP;
  CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON tenantry.invoice
    EXECUTE FUNCTION tenantry.refuse_change();
END $$;
