-- The same figure in another currency is another limit: an alert's key ends with the currency. A share
-- is told by what the alert expected; of the other two kinds the key alone says that it was told.

ALTER TABLE tenantry.alert NO FORCE ROW LEVEL SECURITY;
UPDATE tenantry.alert SET once_key = once_key || ' ' || unit
WHERE kind IN ('budget.refused', 'budget.pace') AND (ends_at IS NULL OR ends_at > clock_timestamp());
ALTER TABLE tenantry.alert FORCE ROW LEVEL SECURITY;
