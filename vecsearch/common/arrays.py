"""Names for the numpy arrays that pass between the packages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""Vectors in float32: (rows, dim), or (dim,) for one."""
StoredVectors = npt.NDArray[np.floating]
"""Vectors as a segment stores them, float32 or float16: (rows, dim)."""
Scores = npt.NDArray[np.float32]
"""Scores, larger is better."""
Positions = npt.NDArray[np.int64]
"""Row numbers within one snapshot; -1 means no row."""
Labels = npt.NDArray[np.int64]
"""Row numbers within one index; -1 means no row."""
Mask = npt.NDArray[np.bool_]
"""Which rows are selected."""
