"""Collections over HTTP: `vecsearch serve`. Thin over `Collection`; all of it is an extra.

app.py          the application: what wraps all routes
routes.py       the routes
shapes.py       what answers hold, for OpenAPI
bodies.py       what a request may hold, checked
answers.py      results -> JSON or Arrow
problems.py     errors -> one shape and a status
keys.py         who may read and write
gatekeeper.py   host, origin, size and kind of a request, before it is read
served.py       the open collections, and searches of one moment as one batch
metrics.py      figures for Prometheus
pages.py        the page to search with, in page/
run.py          addresses, and the server itself
"""
