"""Print each dependency in pyproject.toml pinned to its floor: `numpy>=2.1.0` becomes
`numpy==2.1.0`.
"""

import re
import tomllib
from pathlib import Path

FLOOR = re.compile(r"([A-Za-z0-9._-]+(?:\[[a-z0-9,-]+\])?)>=([0-9][A-Za-z0-9.]*)")


def floors() -> list[str]:
    """What `pip install ".[dev]"` asks for, with the extras that are made of other extras taken
    apart.
    """
    project = tomllib.loads(
        (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    waiting = [*project["dependencies"], *extras["dev"]]
    pinned = set()
    while waiting:
        requirement = waiting.pop()
        if requirement.startswith(f"{project['name']}["):
            names = requirement.partition("[")[2].rstrip("]").split(",")
            waiting += [entry for name in names for entry in extras[name]]
            continue
        match = FLOOR.fullmatch(requirement)
        if not match:
            raise SystemExit(
                f"pyproject.toml: {requirement!r} has no single floor; write it as name>=version"
            )
        pinned.add(f"{match[1]}=={match[2]}")
    return sorted(pinned)


if __name__ == "__main__":
    print("\n".join(floors()))
