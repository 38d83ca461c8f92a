"""Data of any kind -> checked rows -> passages -> vectors -> segments of a collection."""
