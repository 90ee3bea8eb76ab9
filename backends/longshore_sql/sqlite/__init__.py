"""The driver for SQLite: what it does in its own way. What the SQL drivers share stands beside this folder."""
