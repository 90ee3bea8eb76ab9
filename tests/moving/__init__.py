"""Jobs that move from store to store."""
