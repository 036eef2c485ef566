-- When a budget begins anew is told by the calendar that counts it, also before its period's first
-- request. The status of a key has its answer in the gate's facts alone.

SET LOCAL ROLE tenantry_gate;

GRANT EXECUTE ON FUNCTION tenantry.budget_period, tenantry.civil_day, tenantry.day_of,
  tenantry.midnight TO tenantry_app, tenantry_control;
DROP FUNCTION tenantry.check_active;

SET LOCAL ROLE tenantry_owner;

-- As in 0027, with the end of the period.
CREATE OR REPLACE VIEW tenantry.budget_now WITH (security_invoker = true) AS
SELECT t.tenant_id, b.subject, b.period, b.basis, b.amount, b.hard, b.set_by,
       u.settled * u.rate AS settled, u.reserved * u.rate AS reserved, t.zone, t.anchor_day,
       tenantry.contract_currency(t.tenant_id) AS currency, clock_timestamp() AS at,
       nullif(coalesce(u.period_end, s.period_end), 'infinity') AS resets_at
FROM tenantry.tenant t
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
CROSS JOIN LATERAL (
  SELECT 'plan' COLLATE "C" AS subject, 'month' AS period, 'charge' AS basis,
         p.monthly_budget AS amount, p.budget_hard AS hard, 'plan' AS set_by
  WHERE p.monthly_budget IS NOT NULL
  UNION ALL
  SELECT b.subject, b.period, b.basis, b.amount, b.hard, b.set_by FROM tenantry.budget b
  WHERE b.tenant_id = t.tenant_id
) b
CROSS JOIN LATERAL tenantry.budget_period(b.period, clock_timestamp(), t.zone, t.anchor_day) s
LEFT JOIN tenantry.budget_use u
  ON u.tenant_id = t.tenant_id AND u.subject = b.subject AND u.period = b.period
 AND u.basis = b.basis AND u.period_start <= clock_timestamp()
 AND u.period_end > clock_timestamp();
