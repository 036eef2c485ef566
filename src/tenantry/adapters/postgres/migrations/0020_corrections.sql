-- Corrections of prices: what was rated by a price that is found to be wrong is reversed, and posted
-- anew beside it. The first rows stay as they are; both books move together.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Posts, for each attempt that is named, a reversal of its usage and an adjustment at other prices.
-- An attempt that has either already is passed over: a second call changes nothing. Returns how many
-- were corrected. Balances of budgets follow, by replay.
CREATE FUNCTION tenantry.correct(p_tenant_id text, p_fixes jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at    constant timestamptz := tenantry.lock_tenants(ARRAY[p_tenant_id]);
  fixes constant jsonb := (  -- those that nobody has corrected or adjusted yet
    SELECT coalesce(jsonb_agg(x.fix), '[]')
    FROM jsonb_array_elements(p_fixes) AS x (fix)
    WHERE NOT EXISTS (
      SELECT FROM tenantry.cost_entry e
      WHERE e.tenant_id = p_tenant_id
        AND e.admitted_at = (x.fix ->> 'admitted_at')::timestamptz
        AND e.request_id = (x.fix ->> 'request_id')::uuid
        AND e.call = (x.fix ->> 'call')::smallint
        AND e.attempt = (x.fix ->> 'attempt')::smallint
        AND e.kind <> 'usage'));
BEGIN
  INSERT INTO tenantry.cost_entry
  SELECT (jsonb_populate_record(e, n.changes)).*
  FROM tenantry.cost_entry e
  JOIN jsonb_to_recordset(fixes) AS f (request_id uuid, admitted_at timestamptz, call smallint,
         attempt smallint, price_version integer, unit_costs numeric[], costs numeric[],
         unit_prices numeric[], charges numeric[])
    ON f.admitted_at = e.admitted_at AND f.request_id = e.request_id
   AND f.call = e.call AND f.attempt = e.attempt
  CROSS JOIN LATERAL (VALUES
    (jsonb_build_object('kind', 'reversal', 'amount', -e.amount, 'posted_at', at,
       'quantities', ARRAY(SELECT -q FROM unnest(e.quantities) WITH ORDINALITY AS x (q, n)
                           ORDER BY n),
       'amounts', ARRAY(SELECT -a FROM unnest(e.amounts) WITH ORDINALITY AS x (a, n)
                        ORDER BY n),
       'flags', e.flags || ARRAY['corrected'])),
    (jsonb_build_object('kind', 'adjustment', 'posted_at', at, 'price_version', f.price_version,
       'amount', (SELECT coalesce(sum(a), 0) FROM unnest(f.costs) a),
       'unit_prices', f.unit_costs, 'amounts', f.costs,
       'flags', e.flags || ARRAY['corrected']))
  ) AS n (changes)
  WHERE e.tenant_id = p_tenant_id AND e.kind = 'usage';

  INSERT INTO tenantry.charge_entry
  SELECT (jsonb_populate_record(e, n.changes)).*
  FROM tenantry.charge_entry e
  JOIN jsonb_to_recordset(fixes) AS f (request_id uuid, admitted_at timestamptz, call smallint,
         attempt smallint, price_version integer, unit_costs numeric[], costs numeric[],
         unit_prices numeric[], charges numeric[])
    ON f.admitted_at = e.admitted_at AND f.request_id = e.request_id
   AND f.call = e.call AND f.attempt = e.attempt
  CROSS JOIN LATERAL (VALUES
    (jsonb_build_object('kind', 'reversal', 'amount', -e.amount, 'posted_at', at,
       'quantities', ARRAY(SELECT -q FROM unnest(e.quantities) WITH ORDINALITY AS x (q, n)
                           ORDER BY n),
       'amounts', ARRAY(SELECT -a FROM unnest(e.amounts) WITH ORDINALITY AS x (a, n)
                        ORDER BY n),
       'flags', e.flags || ARRAY['corrected'])),
    (jsonb_build_object('kind', 'adjustment', 'posted_at', at, 'price_version', f.price_version,
       'amount', (SELECT coalesce(sum(a), 0) FROM unnest(f.charges) a),
       'unit_prices', f.unit_prices, 'amounts', f.charges,
       'flags', e.flags || ARRAY['corrected']))
  ) AS n (changes)
  WHERE e.tenant_id = p_tenant_id AND e.kind = 'usage';

  UPDATE tenantry.budget_use u SET settled = r.settled
  FROM tenantry.budget_use x
  CROSS JOIN LATERAL tenantry.budget_replay(
    x.tenant_id, x.subject, x.basis, x.period_start, x.period_end) r
  WHERE x.tenant_id = p_tenant_id AND u.ctid = x.ctid AND u.tenant_id = p_tenant_id
    AND u.settled <> r.settled;
  RETURN jsonb_array_length(fixes);
END $$;
COMMENT ON FUNCTION tenantry.correct IS
  'Writes both books, which control may only read; corrects attempts of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.correct TO tenantry_control;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
