"""Longshore on SQL databases, by SQLAlchemy Core."""
