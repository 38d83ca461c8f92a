"""Print each dependency in pyproject.toml pinned to its floor: `numpy>=2.1.0` becomes `numpy==2.1.0`."""

import re
import tomllib
from pathlib import Path

FLOOR = re.compile(r"([A-Za-z0-9._-]+)>=([0-9][A-Za-z0-9.]*)")


def floors() -> list[str]:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    pinned = []
    for requirement in [*project["dependencies"], *(entry for extra in extras for entry in extra)]:
        if requirement.startswith(project["name"] + "["):  # an extra made of other extras
            continue
        match = FLOOR.fullmatch(requirement)
        if not match:
            raise SystemExit(f"pyproject.toml: {requirement!r} has no single floor; write it as name>=version")
        pinned.append(f"{match[1]}=={match[2]}")
    return sorted(pinned)


if __name__ == "__main__":
    print("\n".join(floors()))
