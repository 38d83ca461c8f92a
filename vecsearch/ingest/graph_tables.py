"""Graphs of every form as a table of edges and one of nodes: networkx, scipy, pairs, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.graph import Graph, Nodes
from vecsearch.ingest.table_columns import id_column, require_column
from vecsearch.ingest.whole_table import as_table

if TYPE_CHECKING:
    import pyarrow as pa

WEIGHT, TYPE = "weight", "type"  # columns that are used where they are there


@dataclass(frozen=True)
class GraphTables:
    """A graph as tables.

    Attributes:
        edges: One row for each edge.
        nodes: One row for each node that is described; None where only edges are known.
        directed: Whether edges lead one way only; None where the form of the data does not say.
    """

    edges: pa.Table
    nodes: pa.Table | None = None
    directed: bool | None = None


def graph_tables(data: Any, *, source: str = "source", target: str = "target") -> GraphTables:
    """Read a graph.

    Args:
        data: Edges as anything that `Collection.add` takes; a list of (source, target) or (source,
            target, weight); a networkx graph, with the attributes of its nodes; or a square matrix
            of weights, a numpy array or scipy sparse, whose nodes are numbered from 0.
        source: What to call the column with the nodes where edges start.
        target: What to call the column with the nodes where they end.

    Returns:
        Its tables. The nodes of a networkx graph are in the column `node`.

    Raises:
        InvalidInputError: It is nothing of the kind.

    Example:
        >>> graph_tables([("a", "b"), ("b", "c")]).edges.column_names
        ['source', 'target']
    """
    import pyarrow as pa

    if hasattr(data, "number_of_nodes") and hasattr(data, "edges") and hasattr(data, "adj"):
        return _from_networkx(data, source, target)
    if hasattr(data, "tocoo") and hasattr(data, "nnz"):
        return _from_matrix(data, source, target)
    if isinstance(data, np.ndarray) and data.ndim == 2:
        if data.shape in ((2, 2), (3, 3)):
            raise InvalidInputError(
                f"an array of the shape {data.shape} may be edges or the weights between nodes",
                hint="give edges as a list of tuples, or weights as a scipy sparse matrix",
            )
        if data.shape[0] == data.shape[1] and data.dtype.kind in "biuf":
            from scipy.sparse import csr_array

            return _from_matrix(csr_array(data), source, target)
        if data.shape[1] in (2, 3):
            data = [tuple(row) for row in data.tolist()]
    if isinstance(data, list | tuple) and data and isinstance(data[0], list | tuple):
        rows = []
        for number, row in enumerate(data):
            fits = isinstance(row, list | tuple) and len(row) == len(data[0])
            if not fits or len(row) not in (2, 3):
                raise InvalidInputError(
                    f"edge {number} is {shown(row)}; it must be (source, target) or (source, "
                    "target, weight), as the first one"
                )
            ends = [str(end) for end in row[:2]]
            rows.append(dict(zip((source, target, WEIGHT), [*ends, *row[2:]], strict=False)))
        return GraphTables(pa.Table.from_pylist(rows))
    return GraphTables(as_table(data))


def _from_networkx(graph: Any, source: str, target: str) -> GraphTables:
    import pyarrow as pa

    rows = [
        {**attributes, source: str(tail), target: str(head)}
        for tail, head, attributes in graph.edges(data=True)
    ]
    nodes = [{**attributes, "node": str(node)} for node, attributes in graph.nodes(data=True)]
    empty = pa.table({source: pa.array([], pa.string()), target: pa.array([], pa.string())})
    return GraphTables(
        _table(rows, "edge") if rows else empty,
        _table(nodes, "node") if nodes else None,
        bool(graph.is_directed()),
    )


def _table(rows: list[dict[str, Any]], what: str) -> pa.Table:
    """Rows as a table; attributes that are no single values, or of mixed types, are left out."""
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row)
    columns = {}
    for name in names:
        try:
            columns[str(name)] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            if name in (WEIGHT, TYPE):
                raise InvalidInputError(
                    f"the attribute '{name}' of the {what}s has values of several types"
                ) from None
    return pa.table(columns)


def _from_matrix(matrix: Any, source: str, target: str) -> GraphTables:
    import pyarrow as pa

    rows, columns = matrix.shape
    if rows != columns:
        raise InvalidInputError(
            f"the matrix of a graph is square; this one has {rows:,} rows and {columns:,} columns"
        )
    symmetric = abs(matrix - matrix.T).nnz == 0
    entries = matrix.tocoo()
    tail, head, weights = entries.row, entries.col, np.asarray(entries.data, dtype=np.float64)
    kept = (weights != 0) & ((tail <= head) if symmetric else True)
    table = {
        source: pa.array(tail[kept].astype(str).tolist()),
        target: pa.array(head[kept].astype(str).tolist()),
        WEIGHT: weights[kept],
    }
    nodes = pa.table({"node": pa.array([str(node) for node in range(rows)])})
    return GraphTables(pa.table(table), nodes, not symmetric)


@dataclass(frozen=True)
class Links:
    """The edges of a table, by the numbers of their nodes.

    Attributes:
        nodes: The nodes' ids as strings, sorted; a node's number is its index here.
        tail: Where each edge starts.
        head: Where it ends.
        weights: Its weight, above 0.
        types: The names of the types of edges, sorted; empty without types.
        kinds: The number of each edge's type.
        directed: Whether edges lead one way only.
    """

    nodes: list[str]
    tail: Nodes
    head: Nodes
    weights: npt.NDArray[np.float64]
    types: list[str]
    kinds: Nodes
    directed: bool

    def graph(self, kept: npt.NDArray[np.bool_] | None = None) -> Graph:
        """The graph of all edges, or of some of them."""
        rows = slice(None) if kept is None else kept
        return Graph.from_links(
            self.nodes, self.tail[rows], self.head[rows], self.weights[rows], self.directed
        )

    def keys(self) -> Nodes:
        """A number for each pair of nodes, the same in both directions where there is none."""
        one, other = self.tail, self.head
        if not self.directed:
            one, other = np.minimum(one, other), np.maximum(one, other)
        return np.asarray(one * len(self.nodes) + other)


def read_links(
    edges: pa.Table,
    *,
    source: str = "source",
    target: str = "target",
    weight: str | None = WEIGHT,
    type: str | None = TYPE,
    type_weights: Mapping[str, float] | str | None = None,
    directed: bool = False,
    more_nodes: npt.NDArray[np.str_] | None = None,
) -> Links:
    """Read a table of edges.

    Args:
        edges: One row for each edge.
        source: The column with the node where an edge starts.
        target: The column with the node where it ends.
        weight: The column with its weight, above 0; all are 1 with None, or without `weight`.
        type: The column with its type; there are none with None, or without `type`.
        type_weights: By what the weights of some types are multiplied; 0 leaves a type out. As a
            text: `cites=1,writes=0.5`.
        directed: Whether edges lead one way only.
        more_nodes: Ids of nodes that may have no edge.

    Returns:
        The edges.

    Raises:
        InvalidInputError: A column is missing or contains a null, a weight is not above 0, there is
            no such type, or the table is empty.
    """
    ends = [
        id_column(edges, column, hint=f"{option}= names the column of the edges")
        for option, column in (("source", source), ("target", target))
    ]
    if not len(ends[0]):
        raise InvalidInputError("nothing to train on: the graph has no edge")
    weights = np.ones(len(ends[0]))
    types: list[str] = []
    kinds = np.zeros(len(ends[0]), dtype=np.int64)
    if weight is not None and (weight != WEIGHT or weight in edges.column_names):
        weights = _weights(edges, weight)
    if type is not None and (type != TYPE or type in edges.column_names):
        names, kinds = np.unique(id_column(edges, type), return_inverse=True)
        types = names.tolist()
    for name, factor in _factors(type_weights).items():
        if name not in types:
            raise InvalidInputError(
                f"type_weights: no edge is of the type {shown(name)}{did_you_mean(name, types)}"
            )
        if not (isinstance(factor, int | float) and np.isfinite(factor) and factor >= 0):
            raise InvalidInputError(
                f"type_weights: {shown(name)} is {shown(factor)}; it must be 0 or more"
            )
        weights = np.where(kinds == types.index(name), weights * factor, weights)
    every = [*ends] if more_nodes is None else [*ends, more_nodes]
    nodes, codes = np.unique(np.concatenate(every), return_inverse=True)
    count = len(ends[0])
    kept = weights > 0
    if not kept.any():
        raise InvalidInputError("type_weights: every edge has the weight 0")
    return Links(
        nodes.tolist(),
        codes[:count].astype(np.int64)[kept],
        codes[count : 2 * count].astype(np.int64)[kept],
        weights[kept],
        types,
        kinds.astype(np.int64)[kept],
        directed,
    )


def _factors(given: Mapping[str, float] | str | None) -> Mapping[str, Any]:
    """The weights of types: a dict, or a text such as "cites=1,writes=0.5"."""
    if not isinstance(given, str):
        return given or {}
    factors: dict[str, Any] = {}
    for part in filter(None, given.split(",")):
        name, _, value = part.rpartition("=")
        try:
            factors[name.strip()] = float(value)
        except ValueError as error:
            raise InvalidInputError(
                f"type_weights: {part!r} is not of the form TYPE=WEIGHT"
            ) from error
    return factors


def _weights(edges: pa.Table, weight: str) -> npt.NDArray[np.float64]:
    column = require_column(edges, weight)
    try:
        values = np.asarray(column.to_numpy(), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"column '{weight}' holds {column.type}; weights are numbers above 0"
        ) from error
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        raise InvalidInputError(
            f"column '{weight}', row {wrong[0]}: {values[wrong[0]]} is not a weight above 0"
        )
    return values
