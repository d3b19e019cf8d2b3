"""What was approved is kept whole and small, and new images are held against it."""

import hashlib
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from cases import LEAST, as_approved, images, sound, with_new, with_row
from checkouts import draw, run
from hypothesis import given
from hypothesis import strategies as st

from assay import params
from assay.dataset import splits
from assay.errors import AssayError
from assay.validation import data_tables, rules
from assay.validation.profile import approved as profile
from assay.validation.profile import approving, comparison, properties, strata

LEDGER = pd.DataFrame({"sha256": [], "split": [], "batch": []})
NO_PAIRS = pd.DataFrame({"path": [], "partner": [], "distance": [], "one_group": [], "turned": []})


def same(one: profile.Profile, other: profile.Profile) -> bool:
    return json.dumps(profile._plain(one)) == json.dumps(profile._plain(other))


def test_profile_comes_back_whole_and_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    approved = as_approved(sound())
    profile.write(tmp_path / "a.json", approved)
    found = profile.read(tmp_path / "a.json")
    assert found is not None
    assert same(found, approved)
    assert same(as_approved(sound().sample(frac=1, random_state=0)), approved)
    assert (tmp_path / "a.json").stat().st_size < 30_000


def test_nothing_approved_is_none_and_another_version_is_an_error(tmp_path: Path) -> None:
    profile.write(tmp_path / "a.json", None)
    assert profile.read(tmp_path / "a.json") is None
    for damaged in ('{"format": 0, "edges": {}}', "[]", "null", '{"format": 3}', '"a"'):
        (tmp_path / "a.json").write_text(damaged)
        with pytest.raises(AssayError, match=r"a\.json: damaged, or written by another version of Assay"):
            profile.read(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("<<<<<<< HEAD")
    with pytest.raises(AssayError, match=r"a\.json: not JSON"):
        profile.read(tmp_path / "a.json")


def test_nothing_that_has_a_split_cannot_be_approved() -> None:
    with pytest.raises(AssayError, match="no image has a split"):
        as_approved(sound().assign(split=None))


@pytest.mark.slow
def test_rare_labels_share_a_distribution() -> None:
    rows = pd.concat([images(f"class {number}", train=3 + number) for number in range(60)], ignore_index=True)
    approved = as_approved(rows)
    assert len(approved.strata) == profile.STRATA
    assert list(approved.strata)[-1] == profile.OTHERS
    assert sum(counts[0].sum() for counts in approved.strata.values()) == len(rows)
    assert len(approved.classes) == 60


def test_columns_of_the_tables_are_those_that_suites_speak_about() -> None:
    for name in ("drift", "label_drift", "file_drift", "channel_order"):
        assert rules.TABLES[name].columns == comparison.DRIFT
    assert rules.TABLES["test_set"].columns == comparison.GONE


def test_growth_that_is_like_the_approved_is_no_drift() -> None:
    approved = as_approved(sound())
    found = comparison.tables(approved, with_new(sound()), LEDGER, "single_label")
    assert found["drift"]["property"].tolist() == list(properties.PIXELS)
    assert max(found[name]["excess"].max() for name in ("drift", "label_drift", "file_drift", "channel_order")) == 0
    assert comparison.tables(approved, sound(), LEDGER, "single_label")["drift"].empty


def test_images_of_a_new_class_are_drift_of_labels_alone() -> None:
    new = images("zebra", **LEAST).assign(brightness=3.0)
    found = comparison.tables(as_approved(sound()), with_new(new), LEDGER, "single_label")
    assert found["drift"]["excess"].max() == 0
    assert found["label_drift"]["property"].tolist() == ["zebra"]
    assert found["label_drift"]["statistic"].tolist() == [1]


def test_what_was_never_approved_is_said_of_each_image() -> None:
    approved = as_approved(sound())
    rows = pd.concat([with_row(mode="RGBA"), with_row(bit_depth=16), with_row(maximum=63), with_row(decodable=False)])
    said = comparison.unlike(approved, rows.reset_index(drop=True))
    assert said[said != ""].tolist() == [
        "mode RGBA, approved: L",
        "bit depth 16, approved: 8",
        "no value above 63, approved: 255 and more",
    ]
    assert not comparison.unlike(None, rows.reset_index(drop=True)).any()


@pytest.mark.slow
@given(st.lists(st.integers(20, 60), min_size=1, max_size=6), st.integers(0, 99))
def test_delivery_that_was_cut_into_batches_is_one_unit(sizes: list[int], seed: int) -> None:
    """20 and more hashes of one delivery never all lie before those of the next."""
    random, known = np.random.default_rng(seed), splits.read(Path("absent.csv"))
    came, arrived = [], []
    with mock.patch.object(splits, "BATCH_BYTES", 100):
        for number, size in enumerate(sizes):
            hashes = [hashlib.sha256(f"{seed} {number} {each}".encode()).hexdigest() for each in range(size)]
            fresh = pd.DataFrame({"sha256": hashes, "bytes": random.integers(1, 30, size)})
            known = splits.with_new(known, fresh)
            came.append(fresh)
            arrived += [number] * size
        rows = pd.concat(came, ignore_index=True).assign(arrived=arrived).merge(known, on="sha256")
        rows["batch"] = [f"{number:04}-a.tar" for number in rows["batch"]]
        of = strata.deliveries(rows.sample(frac=1, random_state=seed))
        assert known["batch"].max() > len(sizes)
    first = rows.groupby("arrived")["batch"].transform("min").str[:4].astype(int)
    assert of.tolist() == first.sample(frac=1, random_state=seed).tolist()


def test_whole_deliveries_that_follow_each_other_by_chance_stay_apart() -> None:
    rows = pd.DataFrame({"sha256": list("abcd"), "bytes": 2**20, "batch": [f"000{n}-a.tar" for n in (1, 1, 2, 3)]})
    assert strata.deliveries(rows).tolist() == [1, 1, 2, 3]
    assert strata.deliveries(rows.assign(bytes=2**29)).tolist() == [1, 1, 1, 1]
    assert strata.deliveries(rows.assign(bytes=2**29, sha256=list("bcda"))).tolist() == [1, 1, 1, 3]
    assert strata.deliveries(rows.iloc[:0]).tolist() == []


@pytest.mark.slow
def test_new_images_in_several_batches_of_one_delivery_are_held_to_the_limit_of_one() -> None:
    """Ten deliveries of other brightness each; the eleventh is like one of them, and large."""
    light = pd.Series(np.repeat(np.random.default_rng(0).normal(0, 2, 11), 100))
    rows = images("cat", train=1100).assign(sha256=[hashlib.sha256(b"%d" % n).hexdigest() for n in range(1100)])
    rows["brightness"] += light + np.random.default_rng(1).normal(0, 4, 1100)
    rows["batch"] = [f"{n // 100 + 1:04}-a.tar" for n in range(1100)]
    late = np.arange(1100) >= 1000
    approved = as_approved(rows[~late])
    whole = comparison.tables(approved, rows, LEDGER, "single_label")["drift"]
    torn = rows.assign(bytes=rows["bytes"].where(~late, 2**25))
    place = torn.loc[late, "sha256"].rank().astype(int)
    torn.loc[late, "batch"] = [f"{11 + (each - 1) // 32:04}-b.tar" for each in place]
    assert torn["batch"].nunique() == 14
    found = comparison.tables(approved, torn, LEDGER, "single_label")["drift"].set_index("property")
    assert found.loc["brightness", "limit"] == whole.set_index("property").loc["brightness", "limit"] < 1


def test_outlier_that_was_approved_is_none_and_a_new_one_is() -> None:
    old = sound()
    strange = {"p99": 100, "mode": "CMYK"}
    old.loc[0, list(strange)] = list(strange.values())
    new = images("cat", train=1).assign(path="new.png", batch="0002-b.tar", **strange)
    rows = pd.concat([old, new], ignore_index=True)
    pixels = np.zeros((len(rows), 2, 60), np.uint8)
    approved = data_tables.Beside(approved=as_approved(old), ledger=LEDGER, pixels=pixels)
    for beside, paths in [(None, [old["path"][0], "new.png"]), (approved, ["new.png"])]:
        found = data_tables.build(rows, NO_PAIRS, beside=beside)["images"]
        assert found.loc[found["dark"] > 5, "path"].tolist() == paths
        assert found.loc[found["mode_share"] < 0.02, "path"].tolist() == paths


def test_approval_says_what_it_changes() -> None:
    before = as_approved(sound())
    after = as_approved(with_new(images("owl", **LEAST), brightness=110.0, mode="RGB", channels=3))
    lines = comparison.changes(before, after)
    assert lines[:2] == ["images: 141 -> 188", "test images: 78 -> 104, not the same"]
    assert {"class owl: 33.3% -> 50.0%", "mode RGB: 0.0% -> 25.0%"} <= set(lines)
    assert comparison.changes(before, before) == ["images: 141 -> 141"]
    assert comparison.changes(None, after) == ["188 images in 3 classes; nothing was approved before"]


@pytest.mark.slow
def test_nobody_approves_what_was_not_looked_at(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "run `dvc repro validate`" in run(checkout, "assay", "approve", code=1)
    assert (checkout / "data/approved.json").read_text() == "{}\n"
    run(checkout, "dvc", "repro", "validate")
    assert "nothing was approved before" in run(checkout, "assay", "approve")
    first = (checkout / "data/approved.json").read_bytes()
    assert run(checkout, "assay", "approve").startswith("images: 150 -> 150\n")
    assert (checkout / "data/approved.json").read_bytes() == first
    draw(checkout.parent / "images", 10, first=50)
    run(checkout, "assay", "snapshot", str(checkout.parent / "images"))
    run(checkout, "dvc", "repro", "ingest")
    monkeypatch.chdir(checkout)
    with pytest.raises(AssayError, match=r"is of another data/manifest\.parquet"):
        approving.approve(params.load())


@pytest.mark.slow
def test_clean_growth_is_silent_and_noise_is_not() -> None:
    """Ten growths by whole groups: at most one is called drift, and nearly twice the noise always is."""
    random, alarms = np.random.default_rng(0), 0
    for _ in range(10):
        light = random.normal(0, 12, 60).repeat(20)
        rows = pd.concat([images(label, train=400) for label in ("cat", "dog", "owl")], ignore_index=True)
        rows = rows.assign(group=[f"{n:02}" for n in np.arange(60).repeat(20)], brightness=100 + light)
        rows["brightness"] += random.normal(0, 8, len(rows))
        rows["noise"] = random.gamma(9, 0.3, len(rows))
        late = rows["group"].isin(random.permutation(rows["group"].unique())[:10])
        rows["batch"] = rows["batch"].where(~late, "0002-b.tar")
        approved = as_approved(rows[~late])
        alarms += comparison.tables(approved, rows, LEDGER, "single_label")["drift"]["excess"].max() > 1
        noisier = rows.assign(noise=rows["noise"].where(~late, rows["noise"] * 1.8))
        found = comparison.tables(approved, noisier, LEDGER, "single_label")["drift"].set_index("property")
        assert found.loc["noise", "excess"] > 1
    assert alarms <= 1
