"""Search by words: the syntax of questions, statistics of words, and the best documents."""
