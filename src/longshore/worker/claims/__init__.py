"""What a worker may claim, and how one call of the store asks for it (docs/design/limits.md)."""
