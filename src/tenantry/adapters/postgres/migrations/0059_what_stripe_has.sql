-- What Stripe has heard of, for as long as there are invoices: notices and their deliveries are deleted
-- when they are old, and the void of an invoice must find it at Stripe whenever it comes.

CREATE TABLE tenantry.stripe_invoice (
  tenant_id text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  number    text COLLATE "C" NOT NULL,
  customers text[]      NOT NULL,  -- whose it was to become: one, unless linked anew meanwhile
  pushed_at timestamptz,           -- from here on Stripe certainly has it; null: it may
  PRIMARY KEY (tenant_id, number)
);
COMMENT ON TABLE tenantry.stripe_invoice IS
  'Invoices that Stripe has or may have, each with its customers there.';
ALTER TABLE tenantry.stripe_invoice ENABLE ROW LEVEL SECURITY;
CREATE POLICY writing ON tenantry.stripe_invoice TO tenantry_control USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON tenantry.stripe_invoice TO tenantry_control;

-- Of what was before nobody wrote down whose it became. It was the customer's that is linked now, where
-- that was linked before the notice was written.
ALTER TABLE tenantry.notice NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.delivery NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.stripe_customer NO FORCE ROW LEVEL SECURITY;
INSERT INTO tenantry.stripe_invoice (tenant_id, number, customers, pushed_at)
SELECT DISTINCT ON (n.tenant_id, n.body ->> 'number') n.tenant_id, n.body ->> 'number',
       array(SELECT c.customer_id FROM tenantry.stripe_customer c
             WHERE c.tenant_id = n.tenant_id AND c.linked_at <= n.created_at),
       CASE WHEN d.state = 'delivered' AND n.body -> 'lines' <> '[]' THEN d.ended_at END
FROM tenantry.notice n
JOIN tenantry.delivery d ON d.tenant_id = n.tenant_id AND d.notice_id = n.notice_id
WHERE d.sink = 'stripe' AND n.kind = 'invoice.finalised' AND n.body ->> 'number' IS NOT NULL
ORDER BY n.tenant_id, n.body ->> 'number', n.created_at;
ALTER TABLE tenantry.notice FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.delivery FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.stripe_customer FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.stripe_invoice FORCE ROW LEVEL SECURITY;
