import numpy as np
import pandas as pd

from assay.evaluation import groups


def test_groups_are_the_manifests_else_near_duplicates_else_the_image() -> None:
    own = ["b", "", "b", "", "", "a", ""]
    pairs = np.array([[1, 3], [3, 4], [0, 1], [2, 5]])  # those of an image with a group of its own say nothing more
    found = groups.number(own, pairs)
    together = [[int(a == b) for b in found] for a in found]
    assert found[0] == found[2]
    assert found[1] == found[3] == found[4]
    assert np.sum(together) == 4 + 9 + 1 + 1
    assert sorted(set(found.tolist())) == list(range(4))
    assert groups.number(["", ""], np.empty((0, 2), int)).tolist() == [0, 1]


def test_rows_are_joined_by_the_paths_of_the_pairs_that_are_among_them() -> None:
    rows = pd.DataFrame({"path": ["a", "b", "c", "d"], "group": ["", None, "g", "g"]})
    pairs = pd.DataFrame({"path": ["a", "b", "x"], "partner": ["b", "y", "z"], "distance": 0.1})
    found = groups.of_rows(rows, pairs)
    assert found[0] == found[1] != found[2] == found[3]
    assert len(set(groups.of_rows(rows, pairs.iloc[:0]).tolist())) == 3
