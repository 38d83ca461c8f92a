"""Measure a collection: recall against exact search, quality of the answers, dimensions, recipes.

metrics        recall@k, nDCG@k, MRR@k, bootstrap intervals, latencies: pure functions
recall         recall of a live collection against exact search
judged         quality by relevance judgements
known_items    quality without judgements, by questions made from the documents
quality        the report of either
qrels          files of queries and judgements
dimensions     the cost of fewer dimensions
bench          recall and latency of several index recipes
query_sample   a sample of the queries that a collection is asked
recall_watch   recall of some searches, checked while they run
word_tests     analogies and word similarities
"""
