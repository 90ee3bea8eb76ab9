"""The driver for MySQL and MariaDB: its own ways. What the SQL drivers share stands beside this folder."""
