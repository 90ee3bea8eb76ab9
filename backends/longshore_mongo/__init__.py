"""Longshore on MongoDB."""
