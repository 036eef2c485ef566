-- From this instant on the day of a tax that is entered again with another day is that one alone, also
-- of what was entered before. What was issued or closed before is read as it was.
COMMENT ON COLUMN tenantry.contract.tax_starts_on IS
  'The first day of this version''s tax rate and label, null: without a beginning; of versions in a row with one rate and label that of the last holds. A period has the tax of its last civil day.';
