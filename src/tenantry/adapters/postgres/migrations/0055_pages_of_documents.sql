-- A PDF with scanned or damaged pages among others is ready without them, and has to say so.
-- Documents of before say it from their next reindex on.
ALTER TABLE tenantry.document
  ADD COLUMN pages                   int CHECK (pages > 0),
  ADD COLUMN pages_without_text      int,
  ADD COLUMN next_pages              int CHECK (next_pages > 0),
  ADD COLUMN next_pages_without_text int,
  ADD CHECK ((pages IS NULL) = (pages_without_text IS NULL)),
  ADD CHECK (pages_without_text BETWEEN 0 AND pages),
  ADD CHECK ((next_pages IS NULL) = (next_pages_without_text IS NULL)),
  ADD CHECK (next_pages_without_text BETWEEN 0 AND next_pages);
COMMENT ON COLUMN tenantry.document.pages IS
  'Of a PDF, as it was read. Null: it is none, is not ready yet, or was read before pages were kept.';
COMMENT ON COLUMN tenantry.document.pages_without_text IS
  'Of its pages, those of which nothing is found.';
COMMENT ON COLUMN tenantry.document.next_pages IS
  'As the index that a reindex builds has it; with next_pages_without_text.';
