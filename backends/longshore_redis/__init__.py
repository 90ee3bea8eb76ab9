"""Longshore on Redis and Valkey."""
