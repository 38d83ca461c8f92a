"""Optional packages are found without running them, or named with what installs them."""

from __future__ import annotations

from pathlib import Path

import pytest

import vecsearch as vs
from vecsearch.common.optional import find_installed, require


def test_a_folder_of_the_same_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nowhere_installed" / "part").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("nowhere_installed", "nowhere_installed.core", "not_even_a_folder"):
        with pytest.raises(vs.MissingExtraError, match=r"Moving needs .*pip install"):
            require(module, "nowhere", "none", "Moving")


def test_a_package_within_a_folder_of_several_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "several_packages" / "core").mkdir(parents=True)
    (tmp_path / "several_packages" / "core" / "__init__.py").write_text("found = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_installed("several_packages.core", "several", "none", "Moving") is not None
    assert require("several_packages.core", "several", "none", "Moving").found == 7
