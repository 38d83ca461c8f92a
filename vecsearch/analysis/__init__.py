"""Whole collections: neighbors, duplicates, clusters, outliers, joins, classes and maps."""
