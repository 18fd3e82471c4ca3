"""The only room that touches files: one reader per product, and the survey store."""
