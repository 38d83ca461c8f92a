"""Doors to other libraries: LangChain, LlamaIndex, Haystack, MCP, datasets, scikit-learn, frames.

Each module needs its own extra and is imported only when it is used. All of them stand on the
public API of vecsearch.
"""
