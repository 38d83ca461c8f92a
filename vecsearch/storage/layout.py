"""The names of the folders and files of a collection."""

from __future__ import annotations

MANIFESTS = "manifests"
SEGMENTS = "segments"
INDEXES = "indexes"
STAGING = "staging"
MODELS = "models"
VECTOR_CACHE = "vectors-"  # staging folders that keep an interrupted add's vectors: no lock, kept for its next try
BUILD_CACHE = "build-"  # staging folders that keep an interrupted build's index; each has a LOCK while it is being written
BUILD_INFO = "build.json"
DAMAGED = "damaged"
QUERIES = "queries"  # a sample of the queries asked, in collections that keep one
