"""Vector similarity search with recall as a contract."""
