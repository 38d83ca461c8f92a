"""Builds, embedding and serving on a Ray cluster of two nodes, beside the same work done here."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  as Ray spells it
os.environ["RAY_health_check_failure_threshold"] = "20"  # noqa: SIM112  nodes may be slow
os.environ["RAY_memory_monitor_refresh_ms"] = "0"  # noqa: SIM112  other tests need memory, too
import ray
from ray.cluster_utils import Cluster

import vecsearch as vs
from vecsearch.distributed.engines import RayEngine

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import it
LIMITS = vs.Limits(smallest_index_rows=50)
WORDS = "light food plant night cat mouse river stone".split()
TEXTS = [
    {"id": n, "text": f"{WORDS[n % 8]} and {WORDS[n % 5]} number {n}", "n": n} for n in range(600)
]


def two_nodes() -> Cluster:
    """A cluster on this machine. A node that a busy machine does not start in time is an error."""
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8},
    )
    try:
        made.add_node(num_cpus=1, object_store_memory=10**8)
        ray.init(address=made.address, log_to_driver=False)
    except Exception:
        made.shutdown()
        raise
    return made


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    for attempt in range(3):
        try:
            made = two_nodes()
            break
        except Exception:
            if attempt == 2:
                raise
    yield made
    ray.shutdown()
    made.shutdown()


def index_bytes(c: vs.Collection) -> list[bytes]:
    return [
        (Path(c.path) / entry.files[0].name).read_bytes() for entry in c._snapshot.manifest.indexes
    ]


def die_once(task: tuple[int, str]) -> int:
    """Kills its worker the first time."""
    number, folder = task
    mark = Path(folder) / str(number)
    if number == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def wrong(number: int) -> int:
    raise vs.RecipeError(f"task {number} is wrong", hint="mend it")


def test_there_are_two_nodes(cluster: Cluster) -> None:
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2


def test_a_killed_worker_changes_nothing_but_time(cluster: Cluster, tmp_path: Path) -> None:
    done: list[int] = []
    found = RayEngine().map(die_once, [(n, str(tmp_path)) for n in range(4)], done.append)
    assert found == done == [0, 10, 20, 30]
    assert (tmp_path / "1").exists()


def test_an_error_of_a_task_is_raised_as_it_is(cluster: Cluster) -> None:
    with pytest.raises(vs.RecipeError, match="task 0 is wrong; mend it"):
        RayEngine().map(wrong, [0])


def test_a_build_on_the_cluster_gives_equal_bytes(cluster: Cluster, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    made = []
    for engine in (None, "ray"):
        c = vs.create(tmp_path / f"{engine}.vs", dim=8, shards=2, limits=LIMITS)
        c.add(vectors, progress=False)
        result = c.build_index("IVF4,Flat", threads=1, engine=engine, progress=False)
        assert result.rows == 300 and len(c.info().indexes) == 2 and c.check() == []
        made.append(c)
    assert index_bytes(made[0]) == index_bytes(made[1])
    query = vectors[0] + vectors[1]
    assert made[0].search(query, 20).ids == made[1].search(query, 20).ids


def test_embedding_on_the_cluster_gives_equal_vectors(cluster: Cluster, tmp_path: Path) -> None:
    found = []
    for engine in (None, "ray"):
        with vs.create(tmp_path / f"{engine}.vs", embedder="toy:32", shards=2) as c:
            c.add(TEXTS, engine=engine, progress=False)
            before = c.features(range(600))
            c.reembed("toy:48", engine=engine, progress=False)
            found.append((before.tobytes(), c.features(range(600)).tobytes()))
    assert found[0] == found[1]


def test_a_model_that_workers_cannot_load_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    class Own:
        name, dim = "own:unsaved", 2

        def fingerprint(self) -> str:
            return "0" * 16

        def embed_documents(self, texts: Any) -> Any:
            return np.ones((len(texts), 2), np.float32)

        embed_queries = embed_documents

    with vs.create(tmp_path / "c.vs", embedder=Own()) as c:
        with pytest.raises(vs.InvalidInputError, match="workers can load"):
            c.add(TEXTS[:3], engine="ray", progress=False)
        assert len(c) == 0


def same(found: vs.Hits, expected: vs.Hits) -> None:
    assert found.ids == expected.ids
    assert [hit.score for hit in found] == [hit.score for hit in expected]


def test_actors_answer_as_one_process_does(cluster: Cluster, tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    local = vs.create(root, embedder="toy:32", shards=4)
    local.add(TEXTS, progress=False)
    local.delete(where="n < 20")
    serving = vs.RayServing(parts=2, replicas=1, cpus=0.1)
    with vs.open(root, serving=serving) as served:
        for where in (None, "n > 300", "n < 0"):
            for query in ("light and food", "river 7"):
                same(served.search(query, 25, where=where), local.search(query, 25, where=where))
        hybrid = [c.search("cat stone", 10, mode="hybrid") for c in (served, local)]
        same(*hybrid)
        assert served.facets("n", query="cat", min_score=0.3) == local.facets(
            "n", query="cat", min_score=0.3
        )
        batches = [c.search_batch(["cat", "stone"], 7) for c in (served, local)]
        for found, expected in zip(*batches, strict=True):
            same(found, expected)
        served.add([{"id": 1000, "text": "a new light"}], progress=False)
        assert served.search("a new light", 1).ids == [1000]


def test_a_data_set_of_ray_goes_in_and_comes_out(cluster: Cluster, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)
    items = [row | {"vector": vectors[row["n"]]} for row in TEXTS]
    given = ray.data.from_items(items, override_num_blocks=7)
    with vs.create(tmp_path / "c.vs", dim=8, shards=2) as c:
        assert c.add(given, engine="ray", progress=False).added == 600
        assert not given.context.execution_options.preserve_order
        np.testing.assert_allclose(c.features(range(600)), vectors, rtol=1e-5)
        c.delete(range(10))
        out = c.to_ray(["id", "n", "text"], where="n % 2 = 0")
        assert out.count() == 295 and out.schema().names == ["id", "n", "text"]
        c.add([{"id": 9999, "vector": vectors[0], "n": 2, "text": "later"}], progress=False)
        found = sorted(out.take_all(), key=lambda row: row["id"])
        expected = [row for row in TEXTS if row["n"] % 2 == 0 and row["n"] >= 10]
        assert [(row["id"], row["n"], row["text"]) for row in found] == [
            (row["id"], row["n"], row["text"]) for row in expected
        ]
        assert c.to_ray(where="n < 0").count() == 0
        with vs.create(tmp_path / "copy.vs", dim=8) as copy:
            copy.add(c.to_ray(ids=list(range(100, 200))), progress=False)
            assert copy.count() == 100
            np.testing.assert_allclose(copy.features(range(100, 200)), vectors[100:200], rtol=1e-5)
        with pytest.raises(vs.InvalidInputError, match="nothing"):
            c.to_ray(["nothing"])


def test_texts_of_a_data_set_are_embedded_on_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    made = []
    for data, engine in ((TEXTS, None), (ray.data.from_items(TEXTS), "ray")):
        with vs.create(tmp_path / f"{engine}.vs", embedder="toy:32") as c:
            c.add(data, engine=engine, progress=False)
            made.append(c.features(range(600)).tobytes())
    assert made[0] == made[1]


def test_a_data_set_of_matrices_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    data = ray.data.from_items([{"id": 1, "vector": np.ones((2, 4), np.float32)}])
    c = vs.create(tmp_path / "c.vs", dim=8)
    with pytest.raises(vs.InvalidInputError, match="one dimension"):
        c.add(data, progress=False)


def wait_for_holders(served: vs.Collection) -> None:
    """Until all actors answer: before that a search may find nobody."""
    for part in served._searcher._parts:
        ray.get([holder.rows.remote() for holder in part.holders], timeout=300)


def kill(holder: Any) -> None:
    """Ends an actor, and waits until nobody reaches it."""
    ray.kill(holder, no_restart=True)
    with pytest.raises(ray.exceptions.RayActorError):
        while True:
            ray.get(holder.rows.remote())
            time.sleep(0.1)


def test_replicas_answer_and_partial_answers_are_marked(cluster: Cluster, tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    local = vs.create(root, embedder="toy:32", shards=2)
    local.add(TEXTS[:200], progress=False)
    expected = local.search("light and food", 10)
    with vs.open(root, serving=vs.RayServing(replicas=2, cpus=0.1)) as served:
        same(served.search("light and food", 10), expected)
        kill(served._searcher._parts[0].holders[0])
        for _ in range(4):
            found = served.search("light and food", 10)
            same(found, expected)
            assert found.plan.missing_shards == ()
    with vs.open(root, serving=vs.RayServing(partial=True, cpus=0.1)) as served:
        wait_for_holders(served)
        same(served.search("light and food", 10), expected)
        kill(served._searcher._parts[1].holders[0])
        found = served.search("light and food", 200)
        assert found.plan.missing_shards == (1,) and "shards 1 are missing" in str(found.plan)
        part = local._snapshot.of_shards([0])
        assert sorted(found.ids) == sorted(part.ids_at(part.live.rows))
    with vs.open(root, serving=vs.RayServing(patience=1, cpus=0.1)) as served:
        wait_for_holders(served)
        served.search("light and food", 10)
        kill(served._searcher._parts[1].holders[0])
        with pytest.raises(vs.WorkerLostError, match="nobody holds the shards 1"):
            served.search("light and food", 10)


def test_a_lost_node_changes_nothing_but_time(cluster: Cluster, tmp_path: Path) -> None:
    """The node dies while it holds shards; Ray starts their actors on the other one."""
    root = tmp_path / "c.vs"
    local = vs.create(root, embedder="toy:32", shards=2)
    local.add(TEXTS[:100], progress=False)
    expected = local.search("light and food", 10)
    node = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    with vs.open(root, serving=vs.RayServing(cpus=0.1, patience=120)) as served:
        same(served.search("light and food", 10), expected)
        cluster.remove_node(node)
        same(served.search("light and food", 10), expected)
