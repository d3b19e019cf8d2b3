"""ICC profiles, written by hand, and what their colours are in sRGB by the book.

Format: ICC.1:2001-04 (version 2), sections 6 and 6.5.
"""

import struct

import numpy as np

# The D50-adapted primaries, as columns red, green, blue: those that the makers' own profiles hold.
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
WHITE = (0.9642, 1.0, 0.8249)  # D50


def rgb_profile(primaries: np.ndarray, gamma: float) -> bytes:
    columns = {name: _xyz(tuple(column)) for name, column in zip(("rXYZ", "gXYZ", "bXYZ"), primaries.T, strict=True)}
    curves = {name: _gamma(gamma) for name in ("rTRC", "gTRC", "bTRC")}
    return _profile("RGB ", "XYZ ", {"wtpt": _xyz(WHITE), **columns, **curves})


def grey_profile(gamma: float) -> bytes:
    return _profile("GRAY", "XYZ ", {"wtpt": _xyz(WHITE), "kTRC": _gamma(gamma)})


def cmyk_profile(lab: dict[tuple[int, int, int, int], tuple[float, float, float]]) -> bytes:
    """Return a profile that has the Lab colours at the 16 corners, by whether each ink is on, and lines between."""
    corners = [lab[c, m, y, k] for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = bytes(
        level for light, a, b in corners for level in (round(light * 255 / 100), round(a + 128), round(b + 128))
    )
    straight = bytes(range(256))
    unit = struct.pack(">9i", *(65536 if cell in (0, 4, 8) else 0 for cell in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + straight * 4 + table + straight * 3
    return _profile("CMYK", "Lab ", {"wtpt": _xyz(WHITE), "A2B0": lut, "A2B1": lut}, kind="prtr")


def in_srgb(colour: tuple[int, int, int], primaries: np.ndarray, gamma: float) -> np.ndarray:
    """Return a colour of an RGB profile in sRGB, float [3] in [0, 255], clipped to what sRGB can show."""
    linear = np.linalg.inv(SRGB) @ primaries @ (np.array(colour) / 255) ** gamma
    return encoded(linear)


def encoded(linear: np.ndarray) -> np.ndarray:
    """Return linear light in [0, 1] as sRGB in [0, 255]: IEC 61966-2-1."""
    clipped = np.clip(linear, 0, 1)
    return 255 * np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)


def _profile(space: str, between: str, tags: dict[str, bytes], kind: str = "mntr") -> bytes:
    tags = {"desc": _description(), "cprt": b"text\0\0\0\0none\0", **tags}
    place, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name.encode() + struct.pack(">II", place + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", place + len(data), b"none", 0x02400000, kind.encode(), space.encode(), between.encode()
    )
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _s15(WHITE)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _description() -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(8 + 2 + 1 + 67)


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _s15(values)


def _gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def _s15(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
