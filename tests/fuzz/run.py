"""Fuzz one target with atheris, guided by the branches it reaches.

    python tests/fuzz/run.py TARGET [--seconds 60] [--seed 1]

Prints the number of runs. Exits with another code than 0, and prints the input, when a target
raised what it may not, ended the process, or asked for more than 2 GB.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with atheris.instrument_imports(include=["vecsearch", "sqlglot"], enable_loader_override=False):
        from targets import TARGETS
    target = TARGETS[asked.target]

    def run(data: bytes) -> None:
        try:
            target.run(data)
        except BaseException:
            print(f"input, in base64: {base64.b64encode(data).decode()}", file=sys.stderr)
            raise

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        options = [
            f"-max_total_time={asked.seconds}",
            f"-seed={asked.seed}",
            "-rss_limit_mb=2048",
            "-timeout=30",
            "-max_len=4096",
        ]
        atheris.Setup(
            [sys.argv[0], *options, f"-artifact_prefix={tempfile.gettempdir()}/", folder], run
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
