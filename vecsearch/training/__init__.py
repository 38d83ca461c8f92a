"""Trainers, one module each; they return or write the embedders of `vecsearch.embedders`.

word2vec    word vectors from a corpus: `train_word2vec`
fasttext    word vectors with character n-grams: `train_fasttext`
doc2vec     document vectors: `train_doc2vec`
item2vec    items from sessions: `train_item2vec`
node2vec    nodes of a graph: `train_node2vec`
table       rows of a table: `fit_table`
finetune    a sentence-transformers model on your own pairs: `tune`
distill     a static model from a sentence-transformers model: `distill`
"""
