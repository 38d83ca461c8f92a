"""Doors to other libraries: LangChain, LlamaIndex, Haystack, and MCP.

Each module needs its own extra and is imported only when it is used. All of them stand on the
public API of vecsearch.
"""
