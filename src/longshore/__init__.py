"""A job queue for Python whose storage is chosen by a URL."""
