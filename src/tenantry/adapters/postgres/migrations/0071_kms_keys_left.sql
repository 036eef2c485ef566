-- What a shred left as it was, and what keeps one from going on.
ALTER TABLE tenantry.shred
  ADD COLUMN kms_left text[] NOT NULL DEFAULT '{}',
  ADD COLUMN trouble  text;
COMMENT ON COLUMN tenantry.shred.kms_left IS
  'ARNs of KMS keys that wrapped the tenant''s keys and that Tenantry did not make: not retired.';
COMMENT ON COLUMN tenantry.shred.trouble IS
  'Why the last attempt to go on failed; NULL: it did not.';
GRANT UPDATE (kms_left, trouble) ON tenantry.shred TO tenantry_control;
