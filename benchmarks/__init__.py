"""Benchmarks of vecsearch: against its peers (`ann`), and against the costs it promises to stay
within. See README.md.
"""
