"""Collections in object storage: a local copy, and what keeps it true."""
