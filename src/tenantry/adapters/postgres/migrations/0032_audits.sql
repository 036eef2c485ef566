-- Reports of audits of isolation: added by the control plane, never changed. They belong to no tenant
-- and hold no content: attacks, walls, outcomes, and the ids of the canaries.

CREATE TABLE tenantry.audit_report (
  audit_id   text COLLATE "C" PRIMARY KEY,
  stored_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at timestamptz NOT NULL,
  ended_at   timestamptz NOT NULL,
  version    text        NOT NULL,
  url        text        NOT NULL,
  held       int         NOT NULL CHECK (held >= 0),
  found      int         NOT NULL CHECK (found >= 0),
  void       int         NOT NULL CHECK (void >= 0),
  not_run    int         NOT NULL CHECK (not_run >= 0),
  report     jsonb       NOT NULL
);
COMMENT ON TABLE tenantry.audit_report IS
  'What came of each audit of isolation. `void`: an attack that could not have succeeded.';
GRANT SELECT, INSERT ON tenantry.audit_report TO tenantry_control;
GRANT SELECT ON tenantry.audit_report TO tenantry_operator;
