"""Automatic faults: where cosmic-ray's operators can change a module, and a sample of them."""

from __future__ import annotations

import ast
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

# The value of a capital name at the top of a module is a choice of speed or size, which no test
# should pin. These are part of a promise.
PROMISES = {"ONE_SIDED_99", "FEW_MISSING", "TIE_TOLERANCE"}
USELESS = (
    "VariableReplacer",  # needs arguments
    "VariableInserter",
    "RemoveDecorator",  # of caches, which is no fault
    "ExceptionReplacer",  # fails for the exceptions of a module, such as pa.ArrowInvalid
)


@dataclass(frozen=True)
class Fault:
    """A change that one of cosmic-ray's operators makes to a module.

    Attributes:
        module: Path of the module from the top of the project.
        operator: The operator, as cosmic-ray names it.
        occurrence: Which of the places where the operator applies.
        line: Line of that place, counted from 1.
    """

    module: str
    operator: str
    occurrence: int
    line: int

    def change(self, text: str) -> str:
        """The text of the module with the fault."""
        changed = mutate_code(text, get_operator(self.operator)(), self.occurrence)
        assert changed is not None and changed != text, self
        return str(changed)


def useful(operator: str) -> bool:
    """Whether an operator makes faults worth running."""
    name = operator.removeprefix("core/")
    if name.startswith(USELESS):
        return False
    if name.startswith("ReplaceComparisonOperator"):
        # `a is b` and `a == b` mostly agree; `is` and `is not` are swapped.
        _, before, after = name.split("_")
        identity = {before, after} & {"Is", "IsNot"}
        return not identity or {before, after} == {"Is", "IsNot"}
    return True


def faults(root: Path, module: str) -> list[Fault]:
    """All faults of a module, but for annotations and tuning constants, which no test runs."""
    text = (root / module).read_text(encoding="utf-8")
    left_out = list(_left_out(ast.parse(text)))
    found = []
    nodes = list(cosmic_ray.ast.ast_nodes(cosmic_ray.ast.get_ast(text)))
    for name in sorted(filter(useful, operator_names())):
        operator = get_operator(name)()
        places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, start in enumerate(places):
            if not any(first <= start < last for first, last in left_out):
                found.append((start, Fault(module, name, occurrence, start[0])))
    return [fault for _, fault in sorted(found, key=lambda item: (item[0], item[1].operator))]


def sample(root: Path, module: str, count: int, seed: int) -> list[Fault]:
    """Some faults of a module, at places chosen at random, one at each; all if count is 0."""
    everything = faults(root, module)
    if not count:
        return everything
    rng = random.Random(f"{seed} {module}")
    places: dict[tuple[int, str], list[Fault]] = defaultdict(list)
    for fault in everything:  # one kind of operator at a line is a place
        places[fault.line, fault.operator.split("_")[0]].append(fault)
    chosen = rng.sample(sorted(places), min(count, len(places)))
    return [rng.choice(places[place]) for place in sorted(chosen)]


Span = tuple[tuple[int, int], tuple[int, int]]


def _left_out(tree: ast.Module) -> Iterator[Span]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (
                {name.id for name in ast.walk(targets[0]) if isinstance(name, ast.Name)}
                if (len(targets) == 1)
                else set()
            )
            if names and all(name.isupper() for name in names) and not names & PROMISES:
                yield _span(node)
            elif isinstance(node.value, ast.Subscript | ast.BinOp) and not names & PROMISES:
                yield _span(node)  # an alias of a type
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", ()):
            yield _span(decorator)  # frozen=True, slots=True
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if isinstance(part, ast.expr):
                yield _span(part)


def _span(node: ast.stmt | ast.expr) -> Span:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
