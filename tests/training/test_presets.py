import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.training import presets


@pytest.mark.parametrize(("side_px", "n_blocks"), [(16, 3), (28, 3), (31, 3), (32, 4), (64, 4), (128, 5), (224, 6)])
def test_blocks_follow_the_side_as_measured(side_px: int, n_blocks: int) -> None:
    assert presets.blocks(side_px) == n_blocks


@pytest.mark.parametrize(
    ("n_images", "epochs"), [(1_438, 56), (1_968, 41), (5_000, 24), (9_000, 24), (14_000, 15), (60_000, 10), (50, 100)]
)
def test_runs_of_few_images_see_as_many_and_larger_sets_are_seen_often_enough(n_images: int, epochs: int) -> None:
    assert presets.epochs_for(n_images) == epochs


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 10**8), st.integers(0, 1000))
def test_a_preset_is_one_that_the_network_takes(height: int, width: int, n_images: int, n_classes: int) -> None:
    found = presets.suggest(height, width, n_images, n_classes, "rgb")
    assert min(height, width) >> (len(found.filters) - 1) >= 1
    assert found.epochs >= 10
    assert found.batch_images >= 4
    assert set(found.reasons) == {"network", "filters", "epochs", "batch_images"}


def test_a_backbone_is_proposed_for_few_photos_alone() -> None:
    assert "EfficientNetLite0" in presets.suggest(64, 64, 1_000, 10, "rgb").hint
    assert not presets.suggest(64, 64, 1_000, 10, "grey").hint
    assert not presets.suggest(64, 64, 50_000, 10, "rgb").hint
