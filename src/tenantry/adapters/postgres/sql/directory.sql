-- What the data plane reads to know who asks. Run as tenantry_app, outside any tenant's unit of
-- work: the gate's functions answer for the one key presented, all else here belongs to no tenant.

-- name: authenticate
SELECT * FROM tenantry.authenticate($1, $2);

-- name: edition_in_force
SELECT version, effective_from, source FROM tenantry.price_edition
WHERE effective_from <= clock_timestamp()
ORDER BY effective_from DESC, version DESC LIMIT 1;

-- name: edition
SELECT version, effective_from, source FROM tenantry.price_edition WHERE version = $1;

-- name: prices
SELECT model, tier, over_tokens, token_class, usd_per_million
FROM tenantry.price WHERE version = $1
ORDER BY model, tier, over_tokens, token_class;

-- name: models
SELECT version, definition FROM tenantry.model ORDER BY model_id;
