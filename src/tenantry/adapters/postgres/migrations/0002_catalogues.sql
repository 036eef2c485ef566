-- What belongs to no tenant: plans, models, prices, placements. These are the only tables without
-- a tenant column (tests/architecture holds the list). Everyone reads them, control writes them.

-- A plan's rows are versions and never change; the one in force is not superseded. The limits that
-- admission decides by are typed columns made from the definition, so the two cannot disagree.
CREATE TABLE tenantry.plan (
  name                text        NOT NULL CHECK (name <> ''),
  version             integer     NOT NULL CHECK (version > 0),
  definition          jsonb       NOT NULL,
  applied_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  superseded_at       timestamptz,
  requests_per_day    bigint
    GENERATED ALWAYS AS ((definition ->> 'requests_per_day')::bigint) STORED,
  requests_per_minute bigint
    GENERATED ALWAYS AS ((definition ->> 'requests_per_minute')::bigint) STORED,
  tokens_per_minute   bigint
    GENERATED ALWAYS AS ((definition ->> 'tokens_per_minute')::bigint) STORED,
  concurrent_requests bigint
    GENERATED ALWAYS AS ((definition ->> 'concurrent_requests')::bigint) STORED,
  monthly_budget      numeric
    GENERATED ALWAYS AS ((definition ->> 'monthly_budget')::numeric) STORED,
  budget_hard         boolean
    GENERATED ALWAYS AS ((definition ->> 'budget_hard')::boolean) STORED,
  placement_kind      text    GENERATED ALWAYS AS (definition ->> 'placement') STORED,
  PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX plan_in_force ON tenantry.plan (name) WHERE superseded_at IS NULL;
COMMENT ON TABLE tenantry.plan IS 'Versions of plans; the one in force has no superseded_at.';

CREATE TABLE tenantry.model (
  model_id   text        PRIMARY KEY,
  version    integer     NOT NULL CHECK (version > 0),
  definition jsonb       NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tenantry.model IS
  'The model catalogue; its version is the largest version of a row.';

CREATE TABLE tenantry.price_edition (
  version        integer     PRIMARY KEY CHECK (version > 0),
  effective_from timestamptz NOT NULL,
  source         text        NOT NULL,
  imported_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX price_edition_in_force ON tenantry.price_edition (effective_from DESC, version DESC);
COMMENT ON TABLE tenantry.price_edition IS
  'Dated editions of the price book; in force is the latest that has begun.';

-- usd_per_million NULL: the whole step is known to exist and has no price (class `*`).
CREATE TABLE tenantry.price (
  version         integer NOT NULL REFERENCES tenantry.price_edition,
  model           text    NOT NULL,
  tier            text    NOT NULL,
  over_tokens     bigint  NOT NULL CHECK (over_tokens >= 0),
  token_class     text    NOT NULL,
  usd_per_million numeric CHECK (usd_per_million >= 0),
  PRIMARY KEY (version, model, tier, over_tokens, token_class)
);
COMMENT ON TABLE tenantry.price IS 'Provider prices of one edition; an edition is never changed.';

CREATE TABLE tenantry.placement (
  placement_id text        PRIMARY KEY,
  kind         text        NOT NULL CHECK (kind IN ('pool', 'silo')),
  definition   jsonb       NOT NULL,
  applied_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tenantry.placement IS 'Accounts and regions that can answer.';

GRANT SELECT ON tenantry.plan, tenantry.model, tenantry.price_edition, tenantry.price,
  tenantry.placement
  TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;
GRANT INSERT, UPDATE ON tenantry.plan, tenantry.model, tenantry.placement TO tenantry_control;
GRANT INSERT ON tenantry.price_edition, tenantry.price TO tenantry_control;
