"""Vector similarity search over your own documents, items and vectors, with recall as a contract.

    import vecsearch as vs

    c = vs.create("papers.vs", embedder="all-MiniLM-L6-v2")
    c.add("papers.csv")
    for hit in c.search("how do plants make food", k=10, where="year >= 2000"):
        print(hit.rank, hit.score, hit["title"])

`vs.train("word2vec", texts)` trains a model on your own data, for `embedder=`. The kinds are
word2vec, fasttext, glove and doc2vec for texts, and others for items, graphs and tables: see
`help(vs.train)` and the command `vecsearch train`.

Names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import vecsearch.common.fork  # noqa: F401, a fork waits for imports from now on

if TYPE_CHECKING:
    from vecsearch.analysis.maps import Map
    from vecsearch.analysis.tables import (
        Classification,
        Clusters,
        Duplicates,
        Joined,
        Neighbors,
        Outliers,
        Predictions,
    )
    from vecsearch.async_collection import AsyncCollection, open_async
    from vecsearch.client import RemoteCollection, RemoteHit, RemoteHits, connect
    from vecsearch.collection import Collection, create, open_or_create
    from vecsearch.collection import open_collection as open
    from vecsearch.distributed.serving import RayServing
    from vecsearch.embedders.base import Embedder
    from vecsearch.embedders.catalog import KnownModel, models
    from vecsearch.embedders.named_vectors import NamedVector
    from vecsearch.embedders.report import MethodScore, TrainingReport
    from vecsearch.errors import (
        CallError,
        CollectionClosedError,
        CollectionExistsError,
        CollectionNotFoundError,
        ConflictError,
        CorruptedError,
        DuplicateIdError,
        EmbedderError,
        EmbedderMismatchError,
        FilterError,
        IdNotFoundError,
        InternalError,
        InvalidInputError,
        LockTimeoutError,
        MissingExtraError,
        ModelWarning,
        NoEmbedderError,
        OperationTimeoutError,
        QueryError,
        RecallWarning,
        RecipeError,
        StorageError,
        VecsearchError,
        VersionNotFoundError,
        WorkerLostError,
    )
    from vecsearch.evaluation.fusion import FusionReport
    from vecsearch.index.recipe import IndexRecipe
    from vecsearch.ingest.chunking import Chunker
    from vecsearch.maintenance.backup import restore
    from vecsearch.maintenance.check import Damage
    from vecsearch.maintenance.repair import Repair, repair
    from vecsearch.query.analogy import analogy
    from vecsearch.query.explain import Carrier, Explanation, Part, Reason, TermScore
    from vecsearch.query.fusion import Fusion
    from vecsearch.query.highlight import Highlight
    from vecsearch.query.hit import Hit
    from vecsearch.query.results import HitGroup, Hits
    from vecsearch.storage.limits import Limits
    from vecsearch.text.analyzer import Analyzer
    from vecsearch.training.registry import train
    from vecsearch.types import (
        AddResult,
        BuildResult,
        CollectionInfo,
        DeleteResult,
        DimensionPoint,
        DimensionReport,
        DuplicatePair,
        Failure,
        IndexAdvice,
        IndexInfo,
        Metric,
        Plan,
        ReadReport,
        RecallReport,
        ReembedResult,
        RegionRecall,
        SkippedFile,
        Span,
        SyncResult,
        UpdateResult,
        VersionInfo,
    )

__version__ = "0.1.0"

__all__ = [
    "AddResult",
    "Analyzer",
    "AsyncCollection",
    "BuildResult",
    "CallError",
    "Carrier",
    "Chunker",
    "Classification",
    "Clusters",
    "Collection",
    "CollectionClosedError",
    "CollectionExistsError",
    "CollectionInfo",
    "CollectionNotFoundError",
    "ConflictError",
    "CorruptedError",
    "Damage",
    "DeleteResult",
    "DimensionPoint",
    "DimensionReport",
    "DuplicateIdError",
    "DuplicatePair",
    "Duplicates",
    "Embedder",
    "EmbedderError",
    "EmbedderMismatchError",
    "Explanation",
    "Failure",
    "FilterError",
    "Fusion",
    "FusionReport",
    "Highlight",
    "Hit",
    "HitGroup",
    "Hits",
    "IdNotFoundError",
    "IndexAdvice",
    "IndexInfo",
    "IndexRecipe",
    "InternalError",
    "InvalidInputError",
    "Joined",
    "KnownModel",
    "Limits",
    "LockTimeoutError",
    "Map",
    "MethodScore",
    "Metric",
    "MissingExtraError",
    "ModelWarning",
    "NamedVector",
    "Neighbors",
    "NoEmbedderError",
    "OperationTimeoutError",
    "Outliers",
    "Part",
    "Plan",
    "Predictions",
    "QueryError",
    "RayServing",
    "ReadReport",
    "Reason",
    "RecallReport",
    "RecallWarning",
    "RecipeError",
    "ReembedResult",
    "RegionRecall",
    "RemoteCollection",
    "RemoteHit",
    "RemoteHits",
    "Repair",
    "SkippedFile",
    "Span",
    "StorageError",
    "SyncResult",
    "TermScore",
    "TrainingReport",
    "UpdateResult",
    "VecsearchError",
    "VersionInfo",
    "VersionNotFoundError",
    "WorkerLostError",
    "analogy",
    "connect",
    "create",
    "models",
    "open",
    "open_async",
    "open_or_create",
    "repair",
    "restore",
    "train",
]

_MODULES = {
    "vecsearch.client": ("RemoteCollection", "RemoteHit", "RemoteHits", "connect"),
    "vecsearch.query.analogy": ("analogy",),
    "vecsearch.ingest.chunking": ("Chunker",),
    "vecsearch.collection": ("Collection", "create", "open_or_create", "open"),
    "vecsearch.embedders.base": ("Embedder",),
    "vecsearch.embedders.catalog": ("KnownModel", "models"),
    "vecsearch.embedders.report": ("MethodScore", "TrainingReport"),
    "vecsearch.training.registry": ("train",),
    "vecsearch.distributed.serving": ("RayServing",),
    "vecsearch.maintenance.backup": ("restore",),
    "vecsearch.maintenance.check": ("Damage",),
    "vecsearch.maintenance.repair": ("Repair", "repair"),
    "vecsearch.evaluation.fusion": ("FusionReport",),
    "vecsearch.embedders.named_vectors": ("NamedVector",),
    "vecsearch.query.fusion": ("Fusion",),
    "vecsearch.query.highlight": ("Highlight",),
    "vecsearch.analysis.maps": ("Map",),
    "vecsearch.analysis.tables": (
        "Classification",
        "Clusters",
        "Duplicates",
        "Joined",
        "Neighbors",
        "Outliers",
        "Predictions",
    ),
    "vecsearch.async_collection": ("AsyncCollection", "open_async"),
    "vecsearch.query.explain": ("Carrier", "Explanation", "Part", "Reason", "TermScore"),
    "vecsearch.query.hit": ("Hit",),
    "vecsearch.query.results": ("HitGroup", "Hits"),
    "vecsearch.index.recipe": ("IndexRecipe",),
    "vecsearch.storage.limits": ("Limits",),
    "vecsearch.text.analyzer": ("Analyzer",),
    "vecsearch.types": (
        "AddResult",
        "BuildResult",
        "CollectionInfo",
        "DeleteResult",
        "DimensionPoint",
        "DimensionReport",
        "DuplicatePair",
        "Failure",
        "IndexAdvice",
        "IndexInfo",
        "Metric",
        "Plan",
        "ReadReport",
        "RecallReport",
        "RegionRecall",
        "ReembedResult",
        "SkippedFile",
        "Span",
        "SyncResult",
        "UpdateResult",
        "VersionInfo",
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'vecsearch' has no attribute {name!r}")
    module = importlib.import_module(_HOME.get(name, "vecsearch.errors"))
    value = getattr(module, "open_collection" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
