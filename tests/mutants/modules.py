"""The modules that carry promises, and the test files that should see a fault in each."""

from __future__ import annotations

CALIBRATION = "tests/index/test_calibration.py"
PLAN = "tests/query/test_plan.py"
SEARCHER = "tests/query/test_searcher.py"
STATES = "tests/query/test_selection_state.py"
VECTORS = "tests/query/test_vectors.py"
COLLECTION = "tests/test_collection.py"
STORAGE = "tests/storage/test_storage.py"
ADD = "tests/ingest/test_add.py tests/ingest/test_add_transaction.py"
FILTER = (
    "tests/query/test_filter_edges.py tests/query/test_filter_simple.py "
    "tests/query/test_filter.py tests/query/test_filter_lists.py"
)
COMPACT = "tests/maintenance/test_compact.py"
BACKUP = "tests/maintenance/test_backup.py"
SUMS = "tests/storage/test_sums_apart.py"
PURGE = "tests/storage/test_purge.py"
WIDENING = "tests/storage/test_widening.py tests/cli/test_columns.py"
GROW = "tests/index/test_grow.py"
FAR = "tests/index/test_build.py::test_far_rows_and_far_queries_are_searched_exactly"
SCORER = "tests/index/test_exact.py tests/index/test_scorer.py"
BUILD = " ".join(  # not the whole file, which takes minutes
    f"tests/index/test_build.py::test_{name}"
    for name in (
        "held_out_rows_are_not_in_the_index_while_it_is_measured",
        "given_queries_calibrate_and_held_out_rows_join_few_of_them",
        "index_results_have_true_scores",
        "far_rows_and_far_queries_are_searched_exactly",
        "auto_needs_no_index_for_few_rows",
    )
)

# By the promise: calibrate, measure, plan, search, ingest, maintain, snapshot and store, chunk,
# filter.
MODULES = {
    "index/calibrate.py": f"{CALIBRATION} {BUILD}",
    "index/ruler.py": "tests/index/test_ruler.py tests/index/test_calibration.py",
    "index/calibration.py": f"{CALIBRATION} {GROW} {BUILD}",
    "index/builder.py": f"{BUILD} {GROW}",
    "index/measurer.py": f"{BUILD} {GROW}",
    "index/costs.py": f"{PLAN} tests/index/test_costs.py",
    "index/exact.py": "tests/index/test_exact.py",
    "index/scorer.py": f"{SCORER} {SEARCHER} {VECTORS} {COLLECTION}",
    "evaluation/recall.py": "tests/evaluation/test_recall.py",
    "query/plan.py": PLAN,
    "query/searcher.py": f"{SEARCHER} {STATES} {VECTORS} {FAR} {COLLECTION}",
    "query/listed.py": f"tests/query/test_listed.py {STATES} {SEARCHER}",
    "query/paths.py": f"tests/query/test_paths.py {STATES} {SEARCHER} {VECTORS}",
    "query/selection.py": f"tests/query/test_selection.py {SEARCHER} {VECTORS}",
    "query/selection_state.py": f"{STATES} {SEARCHER} {VECTORS}",
    "query/documents.py": f"tests/query/test_documents.py {COLLECTION}",
    "ingest/add.py": f"{ADD} {COLLECTION} tests/ingest/test_on_error.py",
    "ingest/rows.py": f"{ADD} tests/ingest/test_names.py {COLLECTION}",
    "ingest/conflicts.py": f"{ADD} {COLLECTION} tests/query/test_documents.py",
    "ingest/packing.py": "tests/ingest/test_chunking.py",
    "ingest/passages.py": f"tests/query/test_documents.py {ADD} {COLLECTION}",
    "ingest/bad_rows.py": f"tests/ingest/test_on_error.py {ADD}",
    "ingest/vector_column.py": f"tests/ingest/test_sources_vectors.py {ADD}",
    "ingest/chunking.py": "tests/ingest/test_chunking.py",
    "maintenance/edit.py": f"{COLLECTION} tests/maintenance/test_versions.py {WIDENING}",
    "maintenance/columns.py": f"{COLLECTION} tests/maintenance/test_versions.py {WIDENING}",
    "maintenance/new_values.py": f"{COLLECTION} tests/maintenance/test_update.py {WIDENING}",
    "maintenance/compact.py": f"{COMPACT} {COLLECTION} {PURGE}",
    "maintenance/rewrite.py": f"tests/maintenance/test_reembed.py {COMPACT} {COLLECTION}",
    "maintenance/versions.py": f"tests/maintenance/test_versions.py {COLLECTION} {PURGE}",
    "maintenance/backup.py": BACKUP,
    "storage/snapshot.py": f"{STORAGE} tests/storage/test_ids.py {COLLECTION}",
    "storage/store.py": f"{STORAGE} {PURGE} {COLLECTION}",
    "storage/ids.py": f"tests/storage/test_ids.py {COLLECTION}",
    "storage/rebase.py": f"tests/storage/test_rebase.py {COMPACT}",
    "storage/merge.py": f"tests/storage/test_merge.py {COMPACT} {ADD} {COLLECTION}",
    "storage/segment.py": f"{STORAGE} {COLLECTION} tests/system/test_corruption.py",
    "storage/manifest.py": f"tests/storage/test_manifest.py {STORAGE} tests/golden/test_golden.py",
    "storage/garbage.py": f"{PURGE} {STORAGE} tests/storage/test_own_files.py {COLLECTION}",
    "storage/disk.py": f"{STORAGE} {SUMS} tests/system/test_corruption.py {PURGE}",
    "storage/tombstones.py": "tests/storage/test_tombstones.py",
    "storage/segment_masks.py": "tests/query/test_selection.py",
    "storage/parsed.py": "tests/storage/test_manifest.py",
    "storage/locks.py": f"tests/storage/test_locks.py {STORAGE}",
    "query/filter/__init__.py": FILTER,
    "query/filter/compare.py": FILTER,
    "query/filter/functions.py": FILTER,
    "query/filter/sql.py": FILTER,
    "query/filter/syntax.py": FILTER,
    "query/filter/values.py": FILTER,
    "query/filter/simple.py": "tests/query/test_filter_simple.py",
}
