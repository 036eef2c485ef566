-- What is said of a document takes room as its bytes do: 4 MB of metadata must not count as nothing.
-- Documents of before count as they did.
ALTER TABLE tenantry.document
  ADD COLUMN card_bytes integer NOT NULL DEFAULT 0 CHECK (card_bytes >= 0);
COMMENT ON COLUMN tenantry.document.card_bytes IS
  'Of the sealed card; counts against the plan''s storage. 0: it was not counted yet.';
COMMENT ON COLUMN tenantry.knowledge_partition.original_bytes IS
  'Of all documents, with their cards: what counts against the plan''s storage.';
