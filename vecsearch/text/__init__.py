"""Texts as words: what full-text search counts and compares."""

from vecsearch.text.analyzer import Analyzer as Analyzer
