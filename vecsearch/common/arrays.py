"""Names for the numpy arrays that pass between the packages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
StoredVectors = npt.NDArray[np.floating]
Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
