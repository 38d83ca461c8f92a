"""Graphs as compressed sparse rows: walks, features of pairs of nodes, communities.

This package knows arrays only: neither tables of edges nor models. `vecsearch.training` reads
graphs and trains vectors of their nodes; `vecsearch.embedders.nodes` answers questions about them.
"""
