"""Longshore in a folder on disk: a driver to copy."""
