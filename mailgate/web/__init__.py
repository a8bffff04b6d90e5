"""People's edge: the pages."""
