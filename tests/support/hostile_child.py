"""Use forged collections in children of one process: python hostile_child.py KERNELS HONEST

Takes a folder a line from stdin, and prints a JSON line for each: the exit code (negative for a
signal), what was said, what was warned. HONEST is a collection that may be copied and used.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import forge

from vecsearch.index import calibrate

SECONDS, BYTES = 120, 6_000_000_000


def import_what_is_needed(root: Path) -> None:
    """Import here, once, what a child imports while it uses a collection."""
    with tempfile.TemporaryFile("w+") as names:
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS)
            with contextlib.suppress(BaseException):
                forge.use(forge.copy(root, root.with_name("imports.vs")))
                names.write("\n".join(sys.modules))
                names.flush()
            os._exit(0)
        os.waitpid(child, 0)
        names.seek(0)
        for name in names.read().splitlines():
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def main() -> None:
    kernels, honest = sys.argv[1:]
    if kernels == "numba":
        from vecsearch.index.kernels.loader import LOADER

        LOADER.load()
    elif kernels == "faiss":
        os.environ["VECSEARCH_COMPILED"] = "0"
    import_what_is_needed(Path(honest))
    calibrate.KS, calibrate.AIMS = (1, 5, 50), (0.9, 0.99)  # the builds of `forge.use` are many
    for root in map(str.strip, sys.stdin):
        with tempfile.TemporaryFile("w+") as answer:
            child = os.fork()
            if child == 0:
                signal.alarm(SECONDS)
                resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
                try:
                    answer.write(json.dumps(forge.use(Path(root))))
                    answer.flush()
                    os._exit(0)
                except BaseException as error:
                    answer.write(json.dumps([[repr(error)], []]))
                    answer.flush()
                    os._exit(3)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            answer.seek(0)
            said, warned = json.loads(answer.read() or "[[], []]")
        print(json.dumps({"code": code, "said": said, "warned": warned}), flush=True)


if __name__ == "__main__":
    main()
