"""Where texts stand among others, without an object for each of them: there may be ten million."""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

Texts: TypeAlias = "pd.Series[str] | pa.ChunkedArray"


def places(among: Texts, wanted: Texts) -> np.ndarray:
    """Return the first place in `among` [N] of each wanted text, int64 [M]: -1 where it is not there, or is none."""
    found = pc.index_in(_column(wanted), value_set=_column(among), skip_nulls=True)
    at: np.ndarray = found.fill_null(-1).to_numpy().astype(np.int64)
    return at


def _column(texts: Texts) -> pa.Array | pa.ChunkedArray:
    is_arrow = isinstance(texts, pa.ChunkedArray)
    return (texts if is_arrow else pa.array(texts.astype("str"), from_pandas=True)).cast(pa.large_string())
