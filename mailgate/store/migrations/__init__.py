"""The schema's history, step by step. A released step is never changed; a test keeps the sum equal to schema.sql."""
