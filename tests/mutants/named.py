"""Faults that a person wrote, each with the tests that must see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Named:
    """A fault: `old` is replaced by `new` in a file, and `tests` should fail.

    A fault whose text is no longer there, exactly once, is stale, which fails the run.
    """

    id: str
    file: str
    old: str
    new: str
    tests: str


_CALIBRATE = "        calibration = self.calibrate(index, base, queries, calibrated_on)\n"
_ADD_HELD_OUT = """        if index.can_extend:
            base = self._include(index, base, held_out)
"""
_VERIFIED_COPY = """    source.verify_all()
    disk.write_bytes(copy, memoryview(source.buffer))
    if disk.describe(part, copy, ref.name).crc32 != source.sums.hex():
"""
NAMED = [
    Named(
        "C1",
        "vecsearch/index/simulation.py",
        "round(mean - ONE_SIDED_99 * deviation, 5)",
        "round(mean, 5)",
        "tests/index/test_calibration.py",
    ),
    Named(
        "B1",
        "vecsearch/index/builder.py",
        _CALIBRATE + _ADD_HELD_OUT,
        _ADD_HELD_OUT + _CALIBRATE,
        "tests/index/test_build.py::test_held_out_rows_are_not_in_the_index_while_it_is_measured",
    ),
    Named(
        "C2",
        "vecsearch/index/ruler.py",
        "truth.scores[:, k - 1 : k], truth.tolerances[:, k - 1 : k]",
        "truth.scores[:, -1:], truth.tolerances[:, -1:]",
        "tests/index/test_calibration.py tests/index/test_ruler.py",
    ),
    Named(
        "P1",
        "vecsearch/index/calibration.py",
        "for point in points if point.low >= low), key=_micros",
        "for point in points if point.recall >= low), key=_micros",
        "tests/query/test_plan.py",
    ),
    Named(
        "P6",
        "vecsearch/query/plan.py",
        "points_for(stats.codes, k) if point.low >= recall",
        "points_for(stats.codes, k) if point.recall >= recall",
        "tests/query/test_plan.py",
    ),
    Named(
        "C7",
        "vecsearch/index/simulation.py",
        "known[here:] = self._stand_ins(here, contrast, before)",
        "known[here:] = 0",
        "tests/index/test_adaptive.py",
    ),
    Named(
        "C8",
        "vecsearch/index/simulation.py",
        "np.where(made, k >= MADE_LEAST_K, ",
        "np.where(made, False, ",
        "tests/index/test_adaptive.py",
    ),
    Named(
        "P8",
        "vecsearch/index/calibration.py",
        "step for step in point.steps if step[0] >= effort",
        "step for step in wider.steps if step[0] >= effort",
        "tests/index/test_calibration.py tests/query/test_plan.py",
    ),
    Named(
        "P7",
        "vecsearch/index/calibration.py",
        "if point.k == nearest",
        "if point.k >= nearest",
        "tests/query/test_plan.py",
    ),
    Named(
        "P2",
        "vecsearch/query/plan.py",
        "few_missing = k * (",
        "few_missing = (",
        "tests/query/test_plan.py",
    ),
    Named(
        "Mn1",
        "vecsearch/index/derived.py",
        "np.where(before < 0, -1, after[before])",
        "after[before]",
        "tests/maintenance/test_compact.py",
    ),
    Named(
        "I4",
        "vecsearch/storage/staging.py",
        "if entry.live or entry.name in covered)",
        "if entry.live or entry.name in ())",
        "tests/maintenance/test_compact.py",
    ),
    Named(
        "M1",
        "vecsearch/evaluation/recall.py",
        "width = min(k + (query_rows is not None), selection.count)",
        "width = min(k, selection.count)",
        "tests/evaluation/test_recall.py",
    ),
    Named(
        "M2",
        "vecsearch/evaluation/recall.py",
        "if high < target:",
        "if low < target:",
        "tests/evaluation/test_recall.py",
    ),
    Named(
        "M3",
        "vecsearch/evaluation/recall.py",
        "np.flatnonzero(rows != row)",
        "np.flatnonzero(rows != -2)",
        "tests/evaluation/test_recall.py",
    ),
    Named(
        "S9",
        "vecsearch/query/searcher.py",
        "if self._has_range and not self._covered(query[None], plan).all():",
        "if self.metric is Metric.L2 and not self._covered(query[None], plan).all():",
        "tests/index/test_build.py::test_far_rows_and_far_queries_are_searched_exactly",
    ),
    Named(
        "S10",
        "vecsearch/query/searcher.py",
        "        covered = self._covered(queries, plan)\n",
        "        covered = np.ones(len(queries), bool)\n",
        "tests/index/test_build.py::test_far_rows_and_far_queries_are_searched_exactly",
    ),
    Named(
        "E2",
        "vecsearch/index/scorer.py",
        "        if least > last:\n",
        "        if kth >= last:\n",
        "tests/query/test_searcher.py",
    ),
    Named(
        "E5",
        "vecsearch/index/exact.py",
        "        keep = np.flatnonzero(scores >= threshold)\n",
        "        keep = part[len(scores) - k :]\n",
        "tests/index/test_exact.py",
    ),
    Named(
        "Ch1",
        "vecsearch/ingest/packing.py",
        "packed[-1] = packed[-1][0], part[1]\n                used += size",
        "packed[-1] = packed[-1][0], part[1]\n                used = size",
        "tests/ingest/test_chunking.py",
    ),
    Named(
        "Ch3",
        "vecsearch/ingest/packing.py",
        "sections = section_spans(self.marked, self.headings)",
        "sections = [(0, len(self.marked))]",
        "tests/ingest/test_chunking.py",
    ),
    Named(
        "Em1",
        "vecsearch/training/item2vec.py",
        'np.argsort(time_order(table, order), kind="stable")',
        'np.argsort(time_order(table, order), kind="quicksort")',
        "tests/training/test_items.py",
    ),
    Named(
        "Em4",
        "vecsearch/graphs/walks.py",
        "graph.has_edges(origin, candidate)",
        "graph.has_edges(candidate, origin)",
        "tests/training/test_nodes.py",
    ),
    Named(
        "I2",  # generated ids stay where they are, beside those of another writer
        "vecsearch/ingest/add.py",
        "if not self.checker.generates_ids or shift <= 0:",
        "if not self.checker.generates_ids or shift <= 10**9:",
        "tests/ingest/test_add_transaction.py",
    ),
    Named(
        "I5",
        "vecsearch/ingest/add.py",
        "        self.checker.next_id += shift\n",
        "        assert shift\n",
        "tests/ingest/test_add_transaction.py",
    ),
    Named(
        "I3",
        "vecsearch/ingest/add.py",
        "next_id=max(self.checker.next_id, latest.next_id)",
        "next_id=self.checker.next_id",
        "tests/ingest/test_add_transaction.py",
    ),
    Named(
        "I1",
        "vecsearch/ingest/conflicts.py",
        'last if self.on_conflict == "replace" else first] = False',
        'last if self.on_conflict == "never" else first] = False',
        "tests/ingest/test_add_transaction.py",
    ),
    Named(
        "I6",
        "vecsearch/ingest/passages.py",
        "        max(end, next_start)\n",
        "        next_start\n",
        "tests/ingest/test_add_transaction.py",
    ),
    Named(
        "S8",
        "vecsearch/query/groups.py",
        "exhausted = len(good.positions) < width or width >= ranking.total",
        "exhausted = True",
        "tests/query/test_shapes.py",
    ),
    Named(
        "S7",
        "vecsearch/query/searcher.py",
        "np.flatnonzero(scores.astype(np.float64) >= min_score)",
        "np.flatnonzero(scores.astype(np.float64) > min_score)",
        "tests/query/test_vectors.py",
    ),
    Named(
        "Sn4",
        "vecsearch/query/selection.py",
        'f"text:{where}"',
        'f"text:{str(where).lower()}"',
        "tests/query/test_searcher.py",
    ),
    Named(
        "Sn1",
        "vecsearch/storage/snapshot.py",
        "                matches &= bools_in_numpy(same)\n",
        "                assert len(same) == len(matches)\n",
        "tests/storage/test_ids.py",
    ),
    Named(
        "D3",
        "vecsearch/storage/disk.py",
        "if last - first <= 1 and self._verified[first] and",
        "if last - first <= 2 and self._verified[first] and",
        "tests/storage/test_storage.py",
    ),
    Named(
        "D4",
        "vecsearch/storage/locks.py",
        "if self._writer == os.getpid():",
        "if self._writer is not None:",
        "tests/storage/test_locks.py",
    ),
    Named(
        "So3",
        "vecsearch/ingest/sources/row_types.py",
        "types.is_floating(known) and found.bit_width <= known.bit_width",
        "types.is_floating(known)",
        "tests/ingest/test_sources_dicts.py",
    ),
    Named(
        "Mc1",
        "vecsearch/storage/manifest_check.py",
        "0 < k <= depth <= max(rows, 1)",
        "0 < k and 0 < depth <= max(rows, 1)",
        "tests/storage/test_manifest.py",
    ),
    Named(
        "So1",
        "vecsearch/ingest/sources/csv_types.py",
        "{16: 3, 32: 7, 64: 15}",
        "{16: 3, 32: 7, 64: 18}",
        "tests/ingest/test_sources_csv.py",
    ),
    Named(
        "So2",
        "vecsearch/ingest/sources/csv.py",
        'for mark in ",;\\t|":',
        'for mark in ";,\\t|":',
        "tests/ingest/test_sources_csv.py",
    ),
    Named(
        "Mn2",
        "vecsearch/maintenance/versions.py",
        "next_id=max(old.next_id, latest.manifest.next_id)",
        "next_id=old.next_id",
        "tests/maintenance/test_versions.py",
    ),
    Named(
        "St1",
        "vecsearch/storage/garbage.py",
        "    disk.sync_folder(root / MANIFESTS)\n",
        "    assert held is not None\n",
        "tests/system/test_crash.py",
    ),
    Named(
        "Ba2",
        "vecsearch/maintenance/backup.py",
        _VERIFIED_COPY,
        "    disk.write_bytes(copy, memoryview(source.buffer))\n    if not copy.exists():\n",
        "tests/maintenance/test_backup.py",
    ),
    Named(
        "F5",
        "vecsearch/query/filter/functions.py",
        'r"(?s)\\A"',
        'r"\\A"',
        "tests/query/test_filter.py",
    ),
    Named(
        "F9",
        "vecsearch/query/filter/sql.py",
        "if not every and isinstance(sides[0], exp.Array):",
        "if isinstance(sides[0], exp.Array):",
        "tests/query/test_filter_lists.py tests/query/test_filter.py",
    ),
]
