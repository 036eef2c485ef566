-- The control plane's statements, run as tenantry_control in transactions of their own.

-- name: lock_catalogues
-- Plans, prices and models take the next version: one writer at a time.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('tenantry.catalogues'));

-- name: insert_tenant
INSERT INTO tenantry.tenant
  (tenant_id, name, plan, placement_id, zone, anchor_day, currency, regions_allowed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: tenants
-- $1 an id or name, or NULL for all; $2 the id after which the page begins; $3 its length.
SELECT t.tenant_id, t.name AS tenant_name, t.status, t.zone, t.anchor_day, t.currency,
       t.regions_allowed, (
         SELECT c.currency FROM tenantry.contract c WHERE c.tenant_id = t.tenant_id
         ORDER BY c.version DESC LIMIT 1
       ) AS invoice_currency, p.name AS plan, p.version AS plan_version,
       p.definition AS plan_definition, l.placement_id, l.definition AS placement_definition
FROM tenantry.tenant t
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
JOIN tenantry.placement l ON l.placement_id = t.placement_id
WHERE ($1::text IS NULL OR t.tenant_id = $1 OR t.name = $1) AND t.tenant_id > $2
ORDER BY t.tenant_id LIMIT $3;

-- name: first_contract
-- Of a tenant whose invoices are in a currency other than that of list charges.
INSERT INTO tenantry.contract
  (tenant_id, version, legal_name, address, currency, tax_rate, tax_label, payment_days)
VALUES ($1, 1, $2, '{}', $3, 0, 'Tax', 30);

-- name: set_status
UPDATE tenantry.tenant SET status = $2 WHERE tenant_id = $1;

-- name: insert_key
INSERT INTO tenantry.api_key (tenant_id, api_key_id, name, hint, bearer_hmac, access_key_id,
  secret_sealed, scopes, models_allowed, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: keys
-- $2 the id after which the page begins; $3 its length.
SELECT api_key_id, name, hint, scopes, models_allowed, created_at, expires_at, revoked_at
FROM tenantry.api_key WHERE tenant_id = $1 AND api_key_id > $2 ORDER BY api_key_id LIMIT $3;

-- name: revoke_key
-- A second time keeps the first instant.
UPDATE tenantry.api_key SET revoked_at = coalesce(revoked_at, clock_timestamp())
WHERE tenant_id = $1 AND api_key_id = $2;

-- name: plans
-- $1: of these names; NULL: all. $2 the name after which the page begins; $3 its length; NULL: all.
SELECT name, version, definition FROM tenantry.plan
WHERE superseded_at IS NULL AND ($1::text[] IS NULL OR name = ANY ($1))
  AND ($2::text IS NULL OR name > $2)
ORDER BY name LIMIT $3;

-- name: supersede_plan
UPDATE tenantry.plan SET superseded_at = clock_timestamp()
WHERE name = $1 AND superseded_at IS NULL;

-- name: insert_plan
INSERT INTO tenantry.plan (name, version, definition) VALUES ($1, $2, $3);

-- name: placement
-- Held as it is until a tenant in it is there.
SELECT placement_id, kind FROM tenantry.placement WHERE placement_id = $1 FOR SHARE;

-- name: pools
SELECT placement_id FROM tenantry.placement WHERE kind = 'pool' ORDER BY placement_id;

-- name: placement_to_change
-- With a tenant that holds it where it is: not one whose shred is certified, of which nothing is left.
SELECT x.placement_id, x.definition, (
  SELECT t.name FROM tenantry.tenant t WHERE t.placement_id = x.placement_id
    AND NOT EXISTS (
      SELECT FROM tenantry.shred s
      WHERE s.tenant_id = t.tenant_id AND s.certificate IS NOT NULL)
  ORDER BY t.tenant_id LIMIT 1
) AS tenant_name
FROM tenantry.placement x WHERE x.placement_id = $1 FOR UPDATE OF x;

-- name: misplaced
-- A tenant of the plan $1 that is in a placement of another kind than $2; one that is shredded and
-- certified will be served by neither.
SELECT t.name AS tenant_name, x.kind
FROM tenantry.tenant t JOIN tenantry.placement x ON x.placement_id = t.placement_id
WHERE t.plan = $1 AND x.kind <> $2 AND NOT EXISTS (
  SELECT FROM tenantry.shred s WHERE s.tenant_id = t.tenant_id AND s.certificate IS NOT NULL
) ORDER BY t.tenant_id LIMIT 1;

-- name: upsert_placement
INSERT INTO tenantry.placement (placement_id, kind, definition) VALUES ($1, $2, $3)
ON CONFLICT (placement_id)
  DO UPDATE SET kind = excluded.kind, definition = excluded.definition,
                applied_at = clock_timestamp();

-- name: upsert_model
INSERT INTO tenantry.model AS m (model_id, version, definition)
VALUES ($1, (SELECT coalesce(max(version), 0) + 1 FROM tenantry.model), $2)
ON CONFLICT (model_id)
  DO UPDATE SET version = excluded.version, definition = excluded.definition,
                applied_at = clock_timestamp()
  WHERE m.definition <> excluded.definition;

-- name: models
SELECT definition FROM tenantry.model ORDER BY model_id;

-- name: edition_in_force
SELECT version, effective_from, source FROM tenantry.price_edition
WHERE effective_from <= clock_timestamp()
ORDER BY effective_from DESC, version DESC LIMIT 1;

-- name: latest_edition
SELECT version, effective_from, source FROM tenantry.price_edition
ORDER BY version DESC LIMIT 1;

-- name: editions
SELECT version, effective_from, source, imported_at FROM tenantry.price_edition
ORDER BY effective_from, version;

-- name: edition
SELECT version, effective_from, source FROM tenantry.price_edition WHERE version = $1;

-- name: edition_prices
SELECT model, tier, over_tokens, token_class, usd_per_million
FROM tenantry.price WHERE version = $1
ORDER BY model, tier, over_tokens, token_class;

-- name: insert_edition
INSERT INTO tenantry.price_edition (version, effective_from, source) VALUES ($1, $2, $3);

-- name: insert_prices
INSERT INTO tenantry.price (version, model, tier, over_tokens, token_class, usd_per_million)
SELECT $1, p.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::numeric[]) AS p;

-- name: set_budget
SELECT tenantry.place_budget($1, $2, $3, $4, $5, $6);

-- name: remove_budget
SELECT tenantry.remove_budget($1, $2, $3, $4);

-- name: budgets
-- After ($2, $3, $4), at most $5.
SELECT * FROM tenantry.budget_now
WHERE tenant_id = $1
  AND (subject, period COLLATE "C", basis COLLATE "C") > ($2::text, $3::text, $4::text)
ORDER BY subject, period COLLATE "C", basis COLLATE "C" LIMIT $5;

-- name: placements
-- $1 the id after which the page begins; $2 its length; NULL: all.
SELECT placement_id, definition FROM tenantry.placement
WHERE $1::text IS NULL OR placement_id > $1 ORDER BY placement_id LIMIT $2;
