"""The whole job model, on every store."""
