import dataclasses
from typing import Any

import pytest
from checkouts import ROOT

from assay import params
from assay.errors import AssayError
from assay.training import devices

P = params.load(ROOT / "params.yaml").train


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": "gpu"}, "device: gpu, and TensorFlow sees none"),
        ({"precision": "mixed_float16"}, "precision: mixed_float16, and there is no GPU"),
        ({"precision": "mixed_bfloat16"}, "precision: mixed_bfloat16, and there is no GPU"),
        ({"jit_compile": True}, "jit_compile: true, and there is no GPU"),
        ({"distribute": "workers"}, "distribute: workers, and TF_CONFIG is not set"),
    ],
)
def test_what_this_machine_lacks_is_refused_with_the_parameter(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(AssayError, match=said) as raised:
        devices.check(dataclasses.replace(P, **changes), n_gpus=0)
    assert f"params.yaml: train.{next(iter(changes))}" in str(raised.value)


def test_what_is_there_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{}")
    devices.check(P, n_gpus=0)
    wanted = {"device": "gpu", "precision": "mixed_float16", "jit_compile": True, "distribute": "workers"}
    devices.check(dataclasses.replace(P, **wanted), n_gpus=1)
