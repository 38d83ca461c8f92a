"""Clusters by links and vectors together, beside networkx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from test_cli import fails, ok

import vecsearch as vs

pytest.importorskip("graspologic_native")
GROUPS, SIZE = 3, 12
Links = list[tuple[Any, Any]]


def papers(tmp_path: Path, ids: list[Any]) -> vs.Collection:
    """Three topics; the words of a paper are those of its topic, with noise."""
    random = np.random.default_rng(0)
    words = [[f"{name}{number}" for number in range(6)] for name in ("wolf", "ship", "tree")]
    c = vs.create(tmp_path / "papers.vs", embedder="toy:64")
    texts = [" ".join(random.choice(words[at // SIZE], 5)) for at in range(GROUPS * SIZE)]
    c.add([{"id": which, "text": text} for which, text in zip(ids, texts, strict=True)])
    return c


def citations(ids: list[Any], seed: int = 1) -> Links:
    """Links of two of the topics; of the third one nothing is linked."""
    random = np.random.default_rng(seed)
    return [
        (ids[one], ids[other])
        for one in range(2 * SIZE)
        for other in range(one)
        if random.random() < (0.5 if one // SIZE == other // SIZE else 0.05)
    ]


@pytest.mark.parametrize("kind", [str, int])
def test_links_and_words_find_what_links_alone_cannot(tmp_path: Path, kind: type) -> None:
    ids = [kind(100 + at) for at in range(GROUPS * SIZE)]
    c, links = papers(tmp_path, ids), citations(ids)
    found = c.cluster(links=links)
    clusters = found["cluster"].to_pylist()
    topics = [set(clusters[at * SIZE : (at + 1) * SIZE]) for at in range(GROUPS)]
    assert all(len(topic) == 1 for topic in topics) and len(set.union(*topics)) == 3
    assert {label[:4] for label in found.labels} == {"wolf", "ship", "tree"}
    assert found.links is not None and found.links.links == len(links)
    assert found.links.alone == 2 + SIZE  # each paper without a link is by itself
    assert "by links alone 14 communities" in str(found)

    graph = nx.Graph(links)
    graph.add_nodes_from(ids)
    for column, stated in (
        ("cluster", found.links.modularity),
        ("by_links", found.links.alone_modularity),
    ):
        groups: dict[int, set[Any]] = {}
        for which, number in zip(ids, found[column].to_pylist(), strict=True):
            groups.setdefault(number, set()).add(which)
        assert stated == pytest.approx(nx.community.modularity(graph, groups.values()))
    alone = c.cluster(links=links, share=0)
    assert alone["cluster"].to_pylist() == alone["by_links"].to_pylist()
    assert "12 documents alone" in str(alone)


def test_links_come_in_every_form_and_count_by_weight(tmp_path: Path) -> None:
    ids = [f"p{at}" for at in range(GROUPS * SIZE)]
    c, links = papers(tmp_path, ids), citations(ids)
    table = pa.table({"source": [one for one, _ in links], "target": [other for _, other in links]})
    expected = c.cluster(links=links)["cluster"]
    for other in (table, table.to_pylist(), nx.DiGraph(links), nx.Graph(links)):
        assert c.cluster(links=other)["cluster"] == expected
    heavy = [("p0", "p30", 1000.0), *((*link, 1.0) for link in links)]
    found = dict(zip(ids, c.cluster(links=heavy)["cluster"].to_pylist(), strict=True))
    assert found["p0"] == found["p30"]
    more = [*links, ("p0", "elsewhere"), ("p1", "p1")]
    report = c.cluster(links=more).links
    assert report is not None and report.ignored == 1 and report.links == len(links)
    few = c.cluster(links=links, ids=ids[:SIZE])
    assert len(few) == SIZE and few.links is not None and few.links.ignored > 0


def test_passages_of_a_document_are_one_node(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=40)
    c.add([{"id": which, "text": f"{which} likes the sea. " * 8} for which in "abcd"])
    assert len(c.to_arrow(["id"])) > 4
    found = c.cluster(links=[("a", "b"), ("c", "d")], share=0)
    assert found["id"].to_pylist() == list("abcd")
    assert found["cluster"].to_pylist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"links": [("x", "y")]}, "none of 1 link is between two of 36 documents; the first one"),
        ({"links": [("p1", "p1")]}, "none of 1 link"),
        ({"links": [{"from": "p0", "to": "p1"}]}, "no column 'source'"),
        ({"links": []}, "."),
        ({"links": 5}, "."),
        ({"links": [("p0", "p1", -1.0)]}, "not a weight above 0"),
        ({"links": [("p0", "p1")], "clusters": 3}, "clusters or links, not both"),
        ({"links": [("p0", "p1")], "passages": True}, "passages or links, not both"),
        ({"links": [("p0", "p1")], "resolution": 0}, "resolution is 0; it must be above 0"),
        ({"links": [("p0", "p1")], "share": -1}, "share is -1; it must be 0 or more"),
        ({"resolution": 2.0}, "need links"),
    ],
)
def test_wrong_links_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    c = papers(tmp_path, [f"p{at}" for at in range(GROUPS * SIZE)])
    with pytest.raises(vs.InvalidInputError, match=message):
        c.cluster(**options)


def test_the_command_reads_a_file_of_links(tmp_path: Path) -> None:
    ids = [f"p{at}" for at in range(GROUPS * SIZE)]
    c = papers(tmp_path, ids)
    file = tmp_path / "links.csv"
    lines = [f"{one},{other}" for one, other in citations(ids)]
    file.write_text("\n".join(["source,target", *lines]))
    shown = ok("cluster", c.path, "--links", file).out
    assert "3 clusters" in shown and "by links alone 14 communities" in shown
    assert "--resolution" in fails("cluster", c.path, "--links", file, "--clusters", "2")
    answer = ok("cluster", c.path, "--links", file, "--share", "0", "--json").json
    assert all(row["cluster"] == row["by_links"] for row in answer["rows"])
