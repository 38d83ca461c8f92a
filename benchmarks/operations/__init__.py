"""What everyday operations cost beside LanceDB and DuckDB. See `__main__.py`."""
