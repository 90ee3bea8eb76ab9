"""Longshore on SQL databases, by SQLAlchemy Core: what the drivers share, and a room for each engine's own."""
