"""Figures for Prometheus: requests, times, plans, rows, versions, and the recall."""

from __future__ import annotations

from typing import Any

from vecsearch.common.optional import require
from vecsearch.server.served import Collections

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The figures of one server."""

    def __init__(self, collections: Collections) -> None:
        self._library: Any = require(
            "prometheus_client", "prometheus-client", "serve", "The server's /metrics"
        )
        self._collections = collections
        self._registry = self._library.CollectorRegistry()
        counter, gauge = self._library.Counter, self._library.Gauge
        self._requests = counter(
            "vecsearch_requests", "Requests.", ["route", "status"], registry=self._registry
        )
        self._seconds = self._library.Histogram(
            "vecsearch_request_seconds",
            "Time of a request.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._plans = counter(
            "vecsearch_searches",
            "Searches, by how they were done.",
            ["collection", "method"],
            registry=self._registry,
        )
        figures = {
            "documents": "Documents.",
            "rows": "Rows: passages, or else documents.",
            "version": "The version that is served.",
            "bytes": "Size of the files of this version.",
            "recall_target": "The mean recall that searches ask for by default.",
            "recall_promised": "What calibration measured for that target, a lower bound.",
            "recall_measured": "Mean recall of 100 queries against exact search, measured here.",
            "recall_low": "Lower end of the 99% interval of the measured recall.",
        }
        self._gauges = {
            name: gauge(f"vecsearch_{name}", text, ["collection"], registry=self._registry)
            for name, text in figures.items()
        }

    def note(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def note_search(self, collection: str, method: str) -> None:
        """Count a search."""
        self._plans.labels(collection, method).inc()

    def text(self) -> bytes:
        """All figures, in Prometheus' text format."""
        for served in self._collections.all():
            info = served.collection.info()
            measured = served.measured
            values: dict[str, float | None] = {
                "documents": info.documents,
                "rows": info.rows,
                "version": info.version,
                "bytes": info.bytes,
                "recall_target": info.recall,
                "recall_promised": served.collection.plan().expected_recall,
                "recall_measured": measured.recall if measured else None,
                "recall_low": measured.low if measured else None,
            }
            for name, value in values.items():
                if value is not None:
                    self._gauges[name].labels(served.name).set(value)
        return bytes(self._library.generate_latest(self._registry))
