-- A tax rate that changes on a day can be entered before it: periods of before keep theirs.
ALTER TABLE tenantry.contract ADD COLUMN tax_starts_on date;
COMMENT ON COLUMN tenantry.contract.tax_starts_on IS
  'Periods whose last civil day is on or after it have this version''s tax rate and label, others those of the versions before. Null: all that are finalised from then on.';
