-- What the catalogue has of the walls between tenants. Nothing here reads a tenant's row, so that
-- the administrator of a managed server, who passes no row security, may ask it too.

-- Each fact is a line: who owns what, every policy, every right, also those that what is made later
-- begins with, every function with its body's digest, every operator and cast beside PostgreSQL's,
-- every trigger and rule and whatever else of a write or a view calls functions that are not
-- PostgreSQL's or that do more than compute, every setting that passes them by. A month's partition
-- stands for all months, and in pgvector's schema a tenant's for all tenants. What inherits from a
-- relation of ours, a partition too, is one wherever it lies. Rights of roles that are not Tenantry's
-- are left out of relations where row security shows such a role nothing, and told of functions.
-- name: facts
WITH RECURSIVE schema AS (
  SELECT n.*, CASE n.nspname WHEN 'tenantry' THEN '' ELSE n.nspname || '.' END AS prefix
  FROM pg_namespace n
  WHERE n.nspname IN ('tenantry', 'tenantry_vectors')
), heir (oid) AS (
  SELECT c.oid FROM pg_class c JOIN schema s ON s.oid = c.relnamespace
  UNION
  SELECT i.inhrelid FROM heir h JOIN pg_inherits i ON i.inhparent = h.oid
), relation AS (
  SELECT c.*, s.prefix || CASE s.prefix
    WHEN '' THEN regexp_replace(c.relname, '_[0-9]{4}_[0-9]{2}$', '_YYYY_MM')
    ELSE regexp_replace(c.relname, '^passage_.+', 'passage_TENANT') END AS name
  FROM pg_class c JOIN schema s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT c.*, format('%s.%s', n.nspname, c.relname)
  FROM heir h
  JOIN pg_class c ON c.oid = h.oid AND c.relkind IN ('r', 'p', 'f')
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.oid NOT IN (SELECT oid FROM schema)
), function AS (
  -- A type of ours is named with its schema where who asks may not use the schema.
  SELECT p.*, format('%s%s(%s)', s.prefix, p.proname,
    replace(pg_get_function_identity_arguments(p.oid), 'tenantry.', '')) AS name
  FROM pg_proc p JOIN schema s ON s.oid = p.pronamespace
  -- Those of the extension may lie in pgvector's schema.
  WHERE s.prefix = '' OR NOT EXISTS (SELECT
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'vector')
), future (role, namespace, type, acl) AS (
  -- PostgreSQL's own default has no row; PUBLIC is in those of functions and types.
  SELECT r.oid, 0::oid, type, coalesce(d.defaclacl, acldefault(type, r.oid))
  FROM pg_roles r
  CROSS JOIN unnest(ARRAY['f', 'T']::"char"[]) type
  LEFT JOIN pg_default_acl d
    ON d.defaclrole = r.oid AND d.defaclnamespace = 0 AND d.defaclobjtype = type
  WHERE r.rolname IN ('tenantry_owner', 'tenantry_gate')
    -- The role is the server's, and its defaults a database's.
    OR (r.rolname, 'tenantry_vectors.') IN (SELECT 'tenantry_vectors_owner', prefix FROM schema)
  UNION
  SELECT d.defaclrole, d.defaclnamespace, d.defaclobjtype, d.defaclacl
  FROM pg_default_acl d
  WHERE d.defaclrole::regrole::text LIKE 'tenantry\_%'
    OR d.defaclnamespace IN (SELECT oid FROM schema)
), given (kind, thing, owner, item) AS (
  SELECT 'grant', s.prefix || 'schema', s.nspowner, acl
  FROM schema s, aclexplode(s.nspacl) acl
  UNION ALL
  SELECT 'grant', r.name, r.relowner, acl FROM relation r, aclexplode(r.relacl) acl
  UNION ALL
  SELECT 'grant', r.name || '.' || a.attname, r.relowner, acl
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid, aclexplode(a.attacl) acl
  UNION ALL
  SELECT 'function', f.name, f.proowner, acl
  FROM function f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) acl
  UNION ALL
  SELECT 'grant', format('future %s of %s%s', CASE f.type WHEN 'r' THEN 'tables'
    WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
    WHEN 'n' THEN 'schemas' ELSE 'objects' END, f.role::regrole,
    ' in ' || (SELECT n.nspname FROM pg_namespace n WHERE n.oid = f.namespace)), f.role, item
  FROM future f, aclexplode(f.acl) item
  UNION ALL
  SELECT 'grant', 'parameter ' || parname, 10::oid, acl FROM pg_parameter_acl, aclexplode(paracl) acl
), computed (name, what, class, object) AS (
  -- What a write computes beside triggers, by expressions of the table, its indexes, statistics and
  -- types, and what a view or a call does; then what each of them is made of.
  SELECT r.name, 'check ' || c.conname, 'pg_constraint'::regclass::oid, c.oid
  FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
  UNION
  SELECT r.name, 'value of ' || a.attname, 'pg_attrdef'::regclass, e.oid
  FROM relation r
  JOIN pg_attrdef e ON e.adrelid = r.oid
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = e.adnum
  UNION
  SELECT r.name, 'type of ' || a.attname, 'pg_type'::regclass, a.atttypid
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND a.atttypid <> 0
  UNION
  SELECT r.name, 'index', 'pg_class'::regclass, i.indexrelid
  FROM relation r JOIN pg_index i ON i.indrelid = r.oid
  UNION
  SELECT r.name, 'statistics', 'pg_statistic_ext'::regclass, x.oid
  FROM relation r JOIN pg_statistic_ext x ON x.stxrelid = r.oid
  UNION
  SELECT r.name, 'view', 'pg_rewrite'::regclass, w.oid
  FROM relation r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.ev_type = '1'
  UNION
  SELECT f.name, 'argument', d.refclassid, d.refobjid
  FROM function f JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid
  WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
  UNION
  SELECT c.name, c.what, x.class, x.object
  FROM computed c CROSS JOIN LATERAL (
    SELECT d.refclassid, d.refobjid FROM pg_depend d
    WHERE d.classid = c.class AND d.objid = c.object
      AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass,
        'pg_type'::regclass)
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid
    FROM pg_constraint k WHERE c.class = 'pg_type'::regclass AND k.contypid = c.object
    UNION ALL
    SELECT 'pg_class'::regclass, t.typrelid
    FROM pg_type t WHERE c.class = 'pg_type'::regclass AND t.oid = c.object AND t.typrelid <> 0
  ) x (class, object)
  WHERE c.class NOT IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass)
), expression (name, what, tree) AS (
  SELECT DISTINCT c.name, c.what, coalesce(k.conbin, e.adbin, w.ev_action)::text
  FROM computed c
  LEFT JOIN pg_constraint k ON c.class = 'pg_constraint'::regclass AND k.oid = c.object
  LEFT JOIN pg_attrdef e ON c.class = 'pg_attrdef'::regclass AND e.oid = c.object
  LEFT JOIN pg_rewrite w ON c.class = 'pg_rewrite'::regclass AND w.oid = c.object
  WHERE num_nonnulls(k.conbin, e.adbin, w.ev_action) > 0
), told (kind, fact) AS (
  SELECT 'policy', format('%s: of %s, row security %s', r.name, r.relowner::regrole,
    CASE WHEN NOT r.relrowsecurity THEN 'off' WHEN r.relforcerowsecurity THEN 'forced'
      ELSE 'not forced' END)
  FROM relation r
  WHERE r.relkind IN ('r', 'p', 'f')
  UNION ALL
  SELECT 'grant', format('%s: of %s', x.name, x.owner::regrole)
  FROM (
    SELECT prefix || 'schema', nspowner FROM schema
    UNION ALL
    SELECT name, relowner FROM relation WHERE relkind IN ('v', 'm', 'S')
    UNION ALL
    SELECT format('type %s%s', s.prefix, t.typname), t.typowner
    FROM pg_type t
    JOIN schema s ON s.oid = t.typnamespace
    LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c' AND NOT EXISTS (SELECT
      FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
  ) x (name, owner)
  UNION ALL
  SELECT 'policy', format('%s: %s %s, %s to %s, using %s, check %s', r.name,
    lower(p.permissive), p.policyname, p.cmd, array_to_string(p.roles, ', '),
    coalesce(p.qual, 'none'), coalesce(p.with_check, 'none'))
  FROM pg_policies p
  JOIN schema s ON s.nspname = p.schemaname
  JOIN relation r ON r.relnamespace = s.oid AND r.relname = p.tablename
  UNION ALL
  SELECT 'function', format('%s: %s of %s, %s, %s', f.name,
    CASE WHEN f.prosecdef THEN 'definer' ELSE 'invoker' END
      || CASE WHEN f.proleakproof THEN ', leakproof' ELSE '' END, f.proowner::regrole,
    coalesce(array_to_string(f.proconfig, '; '), 'no settings'),
    encode(sha256(convert_to(f.prosrc, 'UTF8')), 'hex'))
  FROM function f
  UNION ALL
  -- What a statement of ours takes before PostgreSQL's own, or where it has none.
  SELECT 'function', (pg_identify_object(x.class, x.object, 0)).identity
  FROM (
    SELECT 'pg_operator'::regclass::oid, o.oid
    FROM pg_operator o JOIN schema s ON s.oid = o.oprnamespace
    UNION ALL
    SELECT 'pg_cast'::regclass, c.oid
    FROM pg_cast c
    JOIN pg_type f ON f.oid = c.castsource
    JOIN pg_type t ON t.oid = c.casttarget
    WHERE c.oid >= 16384  -- what is below came with the server
      AND f.typnamespace IN (SELECT oid FROM schema UNION SELECT 'pg_catalog'::regnamespace)
      AND t.typnamespace IN (SELECT oid FROM schema UNION SELECT 'pg_catalog'::regnamespace)
  ) x (class, object)
  WHERE NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = x.class AND d.objid = x.object AND d.deptype = 'e')
  UNION ALL
  -- Its events, columns and condition stand between the table and the function.
  SELECT 'trigger', format('%s: %s %s, %s of %s, %s', r.name,
    CASE t.tgenabled WHEN 'O' THEN 'on' WHEN 'D' THEN 'off' WHEN 'R' THEN 'on in a replica'
      ELSE 'always on' END,
    regexp_replace(pg_get_triggerdef(t.oid), '^CREATE (.+) ON \S+ (.*) EXECUTE .+$', '\1 \2'),
    CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END, p.proowner::regrole,
    format('%I.%I%s', n.nspname, p.proname,
      CASE WHEN t.tgnargs > 0 THEN format('(%s)', encode(t.tgargs, 'escape')) END))
  FROM relation r
  JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
  JOIN pg_proc p ON p.oid = t.tgfoid
  JOIN pg_namespace n ON n.oid = p.pronamespace
  UNION ALL
  SELECT 'trigger', format('%s: rule %s', r.name, w.rulename)
  FROM relation r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.ev_type <> '1'
  UNION ALL
  SELECT 'trigger', format('%s: %s calls %s', x.name, x.what,
    (pg_identify_object(x.class, x.object, 0)).identity)
  FROM (
    SELECT c.name, c.what, c.class, c.object FROM computed c
    WHERE c.class IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass)
    UNION ALL
    -- PostgreSQL notes no dependency on what is its own.
    SELECT e.name, e.what, 'pg_proc'::regclass, p.oid
    FROM expression e
    CROSS JOIN LATERAL regexp_matches(e.tree, ':(?:op)?funcid (\d+)', 'g') called
    JOIN pg_proc p ON p.oid = called[1]::oid
    WHERE p.provolatile = 'v' AND p.proname NOT IN ('clock_timestamp', 'gen_random_uuid')
  ) x
  WHERE NOT EXISTS (SELECT
    FROM pg_depend m JOIN pg_extension e ON e.oid = m.refobjid
    WHERE m.classid = x.class AND m.objid = x.object AND m.deptype = 'e'
      AND m.refclassid = 'pg_extension'::regclass AND e.extname = 'vector')
  UNION ALL
  -- With what a session of ours begins, here or everywhere; `search_path` is of each role. Names that
  -- are not PostgreSQL's are kept as they were spelled, and hold in whatever case. Roles outlive a
  -- schema: where pgvector's was dropped, its role's names lead to nothing.
  SELECT 'setting', format('%s: %s', coalesce(r.rolname, 'all roles'),
    coalesce(replace(setting, (SELECT format(', %I, pg_temp', n.nspname)
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
      WHERE e.extname = 'vector'), ', PGVECTOR, pg_temp'), setting))
  FROM pg_db_role_setting d
  LEFT JOIN pg_roles r ON r.oid = d.setrole, unnest(d.setconfig) setting
  WHERE d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND (d.setrole = 0 OR r.rolname LIKE 'tenantry\_%')
    AND (setting ~* '^(session_replication_role|row_security|role|tenantry\.\w+)='
      OR r.oid IS NOT NULL AND setting ILIKE 'search\_path=%'
        AND (r.rolname <> 'tenantry_vectors'
          OR EXISTS (SELECT FROM schema s WHERE s.nspname = 'tenantry_vectors')))
  UNION ALL
  SELECT g.kind, format('%s: %s to %s%s', g.thing, (g.item).privilege_type,
    CASE (g.item).grantee WHEN 0 THEN 'PUBLIC' ELSE (g.item).grantee::regrole::text END,
    CASE WHEN (g.item).is_grantable THEN ', who may grant it' ELSE '' END)
  FROM given g
  WHERE (g.item).grantee <> g.owner AND (g.kind = 'function' OR (g.item).grantee = 0
    OR (g.item).grantee::regrole::text LIKE 'tenantry\_%'
    -- What no row security is asked of.
    OR (g.item).privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN', 'CREATE'))
)
SELECT DISTINCT kind, fact FROM told;

-- name: migrations
SELECT coalesce(max(number), 0) FROM tenantry.schema_migrations;

-- Who logs in and passes row security, or may take up a role that crosses tenants, or what a role
-- of ours may take up besides. The administrator by whom this is asked made the roles, another may
-- have made those of pgvector, and the migrator is there to act as the owner.
-- name: strong_roles
SELECT format('%s %s', r.rolname, CASE WHEN r.rolsuper THEN 'is a superuser'
  WHEN r.rolbypassrls THEN 'bypasses row security' ELSE 'may copy the whole server' END)
FROM pg_roles r
WHERE r.rolname ~ '^tenantry_(owner|migrator|app|gate|control|operator|vectors|vectors_owner)$'
  AND (r.rolsuper OR r.rolbypassrls OR r.rolreplication)
UNION
SELECT CASE WHEN r.oid = s.oid THEN format('%s bypasses row security', r.rolname)
  ELSE format('%s may become %s', r.rolname, s.rolname) END
FROM pg_roles r
JOIN pg_roles s ON pg_has_role(r.oid, s.oid, 'MEMBER')
WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> session_user
  AND CASE WHEN r.oid = s.oid THEN r.rolbypassrls
    ELSE s.rolsuper OR s.rolbypassrls OR s.rolname LIKE 'tenantry\_%'
      OR r.rolname LIKE 'tenantry\_%' END
  AND NOT (r.rolname = 'tenantry_migrator' AND s.rolname IN ('tenantry_owner', 'tenantry_gate'))
  AND NOT (r.rolcreaterole AND s.rolname LIKE 'tenantry\_vectors%')
ORDER BY 1;

-- Logins that are superusers or as good as one: what is copied or read beside the server is behind no
-- wall. Whether the server is ours: `tenantry_superuser` made it.
-- name: superusers
SELECT r.rolname::text AS name, f.rolname = 'tenantry_superuser' AS embedded, r.oid = f.oid AS first,
  CASE WHEN r.rolsuper THEN 'is a superuser' WHEN r.rolreplication THEN 'may copy the whole server'
    ELSE 'may become ' || (SELECT string_agg(s.rolname, ' and ' ORDER BY s.rolname)
      FROM pg_roles s WHERE s.rolname = ANY (w.names) AND pg_has_role(r.oid, s.oid, 'MEMBER'))
  END AS why
FROM pg_roles r, pg_roles f, (VALUES (ARRAY['pg_execute_server_program', 'pg_read_server_files',
  'pg_write_server_files'])) w (names)
WHERE r.rolcanlogin AND f.oid = 10
  AND (r.rolsuper OR r.rolreplication OR EXISTS (SELECT
    FROM pg_roles s WHERE s.rolname = ANY (w.names) AND pg_has_role(r.oid, s.oid, 'MEMBER')))
ORDER BY 1;

-- What the roles that serve read with the rights of somebody else: views that are not of their
-- invoker, and rows that a view, a copy or a foreign table has beside row security. Elsewhere than
-- in our schema, what lies in pgvector's, is made of the relations of either or has a column
-- `tenant_id`; but not the table of passages for pgvector's role, whose policy `facts` tells.
-- name: ways_around
WITH RECURSIVE made (oid) AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('tenantry', 'tenantry_vectors')
  UNION
  SELECT x.oid
  FROM made m CROSS JOIN LATERAL (
    SELECT w.ev_class
    FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = m.oid
      AND d.classid = 'pg_rewrite'::regclass
    UNION ALL
    -- A table shows the rows of those that inherit from it, whose row security is not asked then.
    SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = m.oid
    UNION ALL
    SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = m.oid
  ) x (oid)
)
SELECT n.nspname = 'tenantry' AS here, format('%s.%s, open to %s', n.nspname, c.relname,
  string_agg(r.rolname, ' and ' ORDER BY r.rolname))
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_roles r
  ON r.rolname IN ('tenantry_app', 'tenantry_control', 'tenantry_operator', 'tenantry_vectors')
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND (n.nspname, c.relname, c.relkind, r.rolname)
    <> ('tenantry_vectors', 'passage', 'p', 'tenantry_vectors')
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend e
    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
  AND has_schema_privilege(r.oid, n.oid, 'USAGE')
  AND (has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE')
    OR has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE'))
  -- The option is kept as it was spelled.
  AND NOT (c.relkind = 'v' AND EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o
    WHERE CASE o.option_name WHEN 'security_invoker' THEN o.option_value::boolean END))
  AND CASE WHEN n.nspname = 'tenantry' THEN c.relkind IN ('v', 'm', 'f')
    ELSE c.oid IN (SELECT oid FROM made) OR EXISTS (SELECT FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) END
GROUP BY n.nspname, c.relname
ORDER BY 1, 2;

-- Functions of other schemas than those of `facts` that the roles that serve may call with the
-- rights of somebody who crosses tenants, or that see rows before row security is asked.
-- name: functions_elsewhere
SELECT DISTINCT format('%s.%s, %s of %s', n.nspname, p.proname,
  CASE WHEN p.proleakproof THEN 'leakproof' ELSE 'definer' END, o.rolname)
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_roles o ON o.oid = p.proowner
JOIN pg_roles r
  ON r.rolname IN ('tenantry_app', 'tenantry_control', 'tenantry_operator', 'tenantry_vectors')
WHERE n.nspname NOT IN ('tenantry', 'tenantry_vectors', 'information_schema')
  AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend e
    WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
  AND has_schema_privilege(r.oid, n.oid, 'USAGE')
  AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
  AND (p.proleakproof OR p.prosecdef AND (o.rolsuper OR o.rolbypassrls OR EXISTS (SELECT
    FROM pg_roles s
    WHERE s.rolname LIKE 'tenantry\_%' AND s.oid <> r.oid AND pg_has_role(o.oid, s.oid, 'MEMBER'))))
ORDER BY 1;

-- What the data plane's role may do to a table's rows: to which columns, where it is asked of some.
-- name: rights
SELECT has_column_privilege('tenantry_app', c.oid, 'tenant_id', 'SELECT') AS may_select,
  has_table_privilege('tenantry_app', c.oid, 'DELETE') AS may_delete,
  ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND a.attidentity <> 'a' AND has_column_privilege('tenantry_app', c.oid, a.attnum, 'INSERT')
    ORDER BY a.attnum) AS insertable,
  ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND a.attidentity <> 'a' AND has_column_privilege('tenantry_app', c.oid, a.attnum, 'UPDATE')
    ORDER BY a.attnum) AS updatable
FROM pg_class c
WHERE c.relnamespace = 'tenantry'::regnamespace AND c.relname = $1;

-- name: unforced
SELECT c.relname::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
WHERE n.nspname IN ('tenantry', 'tenantry_vectors') AND c.relkind IN ('r', 'p')
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY 1;
