"""For every rule of expectations/ the smallest manifest that breaks it."""

import label_cases
import pandas as pd
from cases import LEAST, MOSTLY, NEAR, PAIR, Case, N, copies, images, sound, with_borders, with_new, with_row

from assay import labels

SIZE = "at least 8 and at most 20,000"
CASES = {
    "forgotten file": Case(
        table=with_row(label=None, split=None, sha256=None, decodable=False, pixels=None, reason=labels.UNLISTED),
        broken={"row for every file": ["cat/new.png"]},
        said=f"row for every file: 1 of {N + 1} images: the file must be listed by the table: cat/new.png"
        " (not read: no row of the table lists it) (expectations/images.yaml: row for every file)",
    ),
    "missing file": Case(
        table=with_row(split=None, sha256=None, decodable=False, pixels=None, reason="cannot be read: No such file"),
        broken={"file for every row": ["cat/new.png"]},
        said=f"file for every row: 1 of {N + 1} images: the row must have a file that can be read: cat/new.png"
        " (cannot be read: No such file) (expectations/images.yaml: file for every row)",
    ),
    "broken file": Case(
        table=with_row(decodable=False, reason="truncated", width_px=None, height_px=None, pixels=None, split=None),
        broken={"decodable": ["cat/new.png"]},
        said=f"decodable: 1 of {N + 1} images: the image must decode to its end: cat/new.png (truncated)"
        " (expectations/images.yaml: decodable)",
    ),
    "wrong suffix": Case(
        table=with_row(named_format="JPEG"),
        broken={"named as what it is": ["cat/new.png"]},
        said=f"named as what it is: 1 of {N + 1} images: named_format and format must be equal: cat/new.png"
        " ('JPEG', 'PNG') (expectations/images.yaml: named as what it is)",
    ),
    "narrow": Case(
        table=with_row(width_px=7),
        broken={"image width": ["cat/new.png"]},
        said=f"image width: 1 of {N + 1} images: width_px must be {SIZE}: cat/new.png (7)"
        " (expectations/images.yaml: image width)",
    ),
    "wide": Case(
        table=with_row(width_px=20001),
        broken={rule: ["cat/new.png"] for rule in ("image width", "usual aspect", "usual size")},
        said=f"image width: 1 of {N + 1} images: width_px must be {SIZE}: cat/new.png (20,001)"
        " (expectations/images.yaml: image width)",
    ),
    "low": Case(
        table=with_row(height_px=7),
        broken={"image height": ["cat/new.png"]},
        said=f"image height: 1 of {N + 1} images: height_px must be {SIZE}: cat/new.png (7)"
        " (expectations/images.yaml: image height)",
    ),
    "constant": Case(
        table=with_row(contrast=0.9),
        broken={"not constant": ["cat/new.png"]},
        said=f"not constant: 1 of {N + 1} images: contrast must be at least 1: cat/new.png (0.9)"
        " (expectations/images.yaml: not constant)",
    ),
    "[0, 1] as 8 bits": Case(
        table=with_row(maximum=1),
        broken={"full range": ["cat/new.png"]},
        said=f"full range: 1 of {N + 1} images: maximum must be at least 2: cat/new.png (1)"
        " (expectations/images.yaml: full range)",
    ),
    "two labels": Case(
        table=copies(label="dog"),
        broken={"one label per picture": PAIR, "duplicates": PAIR},
        said=f"one label per picture: 2 of {N + 1} images: label must be the same for equal pixels: cat/new.png"
        " ('dog'; like cat/train000.png), cat/train000.png ('cat'; like cat/new.png)"
        " (expectations/images.yaml: one label per picture)",
    ),
    "leak": Case(
        table=copies(split="test"),
        broken={"one split per picture": PAIR, "duplicates": PAIR},
        said=f"one split per picture: 2 of {N + 1} images: split must be the same for equal pixels: cat/new.png"
        " ('test'; like cat/train000.png), cat/train000.png ('train'; like cat/new.png)"
        " (expectations/images.yaml: one split per picture)",
    ),
    "group in two splits": Case(
        table=pd.concat([sound(), images("cat", val=1, test=1).assign(group="film 7")], ignore_index=True).assign(
            path=[*sound()["path"], "cat/a.png", "cat/b.png"],
            pixels=[*sound()["path"], "a", "b"],
        ),
        broken={"one split per group": ["cat/a.png", "cat/b.png"]},
        said=f"one split per group: 2 of {N + 2} images: split must be the same for equal group: cat/a.png"
        " ('val'; like cat/b.png), cat/b.png ('test'; like cat/a.png)"
        " (expectations/images.yaml: one split per group)",
    ),
    "copy": Case(
        table=copies(),
        broken={"duplicates": PAIR},
        said=f"duplicates: 2 of {N + 1} images: pixels must be unique: cat/new.png (like cat/train000.png),"
        " cat/train000.png (like cat/new.png) (expectations/images.yaml: duplicates)",
    ),
    "near-duplicate": Case(
        table=with_row(),
        pairs=NEAR,
        broken={"near-duplicates": ["cat/new.png"]},
        said="near-duplicates: 1 of 1 pairs: two of one split must not show the same: cat/new.png"
        " (like cat/train000.png) (expectations/images.yaml: near-duplicates)",
    ),
    "near-duplicate across splits": Case(
        table=with_row(split="val"),
        pairs=NEAR,
        broken={"near-duplicates across splits": ["cat/new.png"]},
        said="near-duplicates across splits: 1 of 1 pairs: two of different splits must not show the same: cat/new.png"
        " (like cat/train000.png) (expectations/images.yaml: near-duplicates across splits)",
    ),
    "near-duplicate of another label": Case(
        table=with_row(label="dog", split=None),
        pairs=NEAR,
        broken={"near-duplicates of one label": ["cat/new.png"]},
        said="near-duplicates of one label: 1 of 1 pairs: two that show the same must have one label: cat/new.png"
        " (like cat/train000.png) (expectations/images.yaml: near-duplicates of one label)",
    ),
    "shown elsewhere": Case(
        table=with_row(split=None, reason="near-duplicate of cat/test000.png, which is in test"),
        broken={"shown in one split only": ["cat/new.png"]},
        said=f"shown in one split only: 1 of {N + 1} images: the image must not show what is in another split:"
        " cat/new.png ('near-duplicate of cat/test000.png, which is in test')"
        " (expectations/images.yaml: shown in one split only)",
    ),
    "turned by its tag": Case(
        table=with_row(orientation=6),
        broken={"stored upright": ["cat/new.png"]},
        said=f"stored upright: 1 of {N + 1} images: orientation must be 1: cat/new.png (6)"
        " (expectations/images.yaml: stored upright)",
    ),
    "in another mode": Case(
        table=with_row(mode="CMYK", channels=4),
        broken={"usual mode": ["cat/new.png"]},
        said=f"usual mode: 1 of {N + 1} images: mode_share must be at least 33%: cat/new.png ('CMYK', "
        f"{100 / (N + 1):.4g}%) (expectations/images.yaml: usual mode)",
    ),
    "in another depth": Case(
        table=with_row(bit_depth=16),
        broken={"usual mode": ["cat/new.png"]},
        said=f"usual mode: 1 of {N + 1} images: mode_share must be at least 33%: cat/new.png ('L', ",
    ),
    "twelve bits in files of sixteen": Case(
        table=sound().assign(bit_depth=16, maximum=15),
        broken={"levels used": sorted(sound()["path"])[:10]},
        said=f"levels used: {N} of {N} images: the image must use the levels of its depth: cat/test021.png "
        "('of 65,536 levels only the lowest 1/16 are used: 16 of 256 are left'), ",
    ),
    "given two splits": Case(
        table=with_row(reason="split refused: given test, but in train with group p1", split=None),
        broken={"given splits": ["cat/new.png"]},
        said=f"given splits: 1 of {N + 1} images: the split that is given must be one that the image can have: "
        "cat/new.png ('given test, but in train with group p1') (expectations/images.yaml: given splits)",
    ),
    "of several pages": Case(
        table=with_row(n_frames=3, format="TIFF", named_format="TIFF"),
        broken={"one frame": ["cat/new.png"]},
        said=f"one frame: 1 of {N + 1} images: the file must hold one frame or page: cat/new.png ('the first of 3') ("
        "expectations/images.yaml: one frame)",
    ),
    "cut and decoded all the same": Case(
        table=with_row(flat_share=0.25),
        broken={"whole picture": ["cat/new.png"]},
        said=f"whole picture: 1 of {N + 1} images: partial must be at most 5 in at least 99.8% of the images: "
        "cat/new.png (12.5) (expectations/images.yaml: whole picture)",
    ),
    **{
        rule: Case(
            table=with_row(**changes),
            broken={rule: ["cat/new.png"]},
            said=f"{rule}: 1 of {N + 1} images: {column} must be at most {limit}: cat/new.png (",
        )
        for rule, column, limit, changes in [
            ("not dark", "dark", f"6{MOSTLY}", {"p99": 100, "p1": 0}),
            ("not bright", "bright", f"5.3{MOSTLY}", {"p50": 200, "brightness": 200.0}),
            ("not washed out", "washed_out", f"4.5{MOSTLY}", {"p1": 150}),
            ("not empty", "low_entropy", f"5.5{MOSTLY}", {"entropy": 3.0}),
            ("not blurred", "blurred", f"4.1{MOSTLY}", {"sharpness": 5.0}),
            ("not noisy", "noisy", f"4.5{MOSTLY}", {"noise": 30.0}),
            ("not blocky", "blocky", f"5.5{MOSTLY}", {"blockiness": 3.0}),
            ("usual aspect", "odd_aspect", f"5{MOSTLY}", {"width_px": 25, "height_px": 8}),
            ("usual size", "odd_size", f"6{MOSTLY}", {"width_px": 40, "height_px": 40}),
        ]
    },
    "two of white skies": Case(
        table=with_row(clipped_share=0.5).assign(
            clipped_share=lambda rows: rows["clipped_share"].where(rows.index != 0, 0.5)
        ),
        broken={"not clipped": ["cat/new.png", "cat/train000.png"]},
        said=f"not clipped: 2 of {N + 1} images: clipped must be at most 5.5 in at least 99% of the images: cat/",
    ),
    "never approved": Case(
        table=with_row(mode="RGBA", batch="0002-b.tar"),
        approved=sound(),
        broken={"kinds of image as approved": ["cat/new.png"], "usual mode": ["cat/new.png"]},
        said=f"kinds of image as approved: 1 of {N + 1} images: mode, depth and range must be as approved: cat/new.png"
        " ('mode RGBA, approved: L') (expectations/drift.yaml: kinds of image as approved)",
    ),
    "red and blue swapped": Case(
        table=with_new(sound(), red=50.0, blue=150.0).assign(
            red=lambda rows: rows["red"].where(rows["batch"] != "0001-a.tar", 150.0),
            blue=lambda rows: rows["blue"].where(rows["batch"] != "0001-a.tar", 50.0),
        ),
        approved=sound().assign(red=150.0, blue=50.0),
        broken={
            "channels as approved": ["red and blue"],
            "pixels as approved": ["red_blue", "red_green", "blue_green"],
            "red and blue in place": sorted("new/" + sound()["path"])[:10],
        },
        said="channels as approved: 1 of 1 orders of channels: excess must be at most 1: 'red and blue' (10)"
        " (expectations/drift.yaml: channels as approved)",
    ),
    "inverted": Case(
        table=with_row(border=b"\xff" * 60, centre=b"\xff" * 60),
        broken={"not inverted": ["cat/new.png"]},
        said=f"not inverted: 1 of {N + 1} images: the image must be as light and dark as the others are in at least"
        " 99.5% of the images: cat/new.png ('like the others once inverted')",
    ),
    "red and blue exchanged in one": Case(
        table=with_row(red=50.0, blue=150.0).assign(
            red=lambda rows: rows["red"].where(rows["path"] == "cat/new.png", 150.0),
            blue=lambda rows: rows["blue"].where(rows["path"] == "cat/new.png", 50.0),
        ),
        broken={"red and blue in place": ["cat/new.png"]},
        said=f"red and blue in place: 1 of {N + 1} images: the image must have red and blue where the others have them",
    ),
    "test image gone": Case(
        table=sound(),
        approved=with_row(split="test", sha256="abc"),
        broken={"test set as approved": ["abc"]},
        said=f"test set as approved: 1 of {3 * LEAST['test'] + 1} test images: the test image must still be there:"
        " 'abc' (expectations/drift.yaml: test set as approved)",
    ),
    "darker": Case(
        table=with_new(sound(), brightness=90.0),
        approved=sound(),
        broken={"pixels as approved": ["brightness"]},
        said="pixels as approved: 1 of 20 properties of pixels: excess must be at most 1: 'brightness' (10)"
        " (expectations/drift.yaml: pixels as approved)",
    ),
    "all of one class": Case(
        table=with_new(images("cat", **LEAST)),
        approved=sound(),
        broken={"class shares as approved": ["cat"]},
        said="class shares as approved: 1 of 1 shares of a class: excess must be at most 1: 'cat' (",
    ),
    "larger files": Case(
        table=with_new(sound(), bytes=900),
        approved=sound(),
        broken={"files as approved": ["bytes"]},
        said="files as approved: 1 of 2 properties of files: excess must be at most 1: 'bytes' (10)"
        " (expectations/drift.yaml: files as approved)",
    ),
    "one class is darker": Case(
        table=sound(owl=images("owl", **LEAST).assign(brightness=90.0)),
        broken={"no property gives a class away": ["brightness/owl"]},
        said="no property gives a class away: 1 of 63 properties of a class: unapproved must be at most 0.98:"
        " 'brightness/owl' (1) (expectations/shortcuts.yaml: no property gives a class away)",
    ),
    "one class became darker": Case(
        table=sound(owl=images("owl", **LEAST).assign(brightness=90.0)),
        approved=sound(),
        broken={"no property gives a class away more than approved": ["brightness/owl"]},
        said="no property gives a class away more than approved: 1 of 63 properties of a class: gain must be at most"
        " 0.1: 'brightness/owl' (0.5) (expectations/shortcuts.yaml: no property gives a class away more than approved)",
    ),
    "white frame": Case(
        table=with_borders("owl", lambda _: b"\xff" * 60),
        broken={"border tells no more than centre": ["owl"], "no place gives a class away": ["owl"]},
        said="border tells no more than centre: 1 of 3 classes: lead must be at most 0.15: 'owl' (",
    ),
    "grey stamp": Case(
        table=with_borders("owl", lambda border: b"\x80" + border[1:]),
        broken={"no place gives a class away": ["owl"]},
        said="no place gives a class away: 1 of 3 classes: place must be at most 0.97: 'owl' (",
    ),
    "one class from elsewhere": Case(
        table=sound(owl=images("owl", **LEAST).assign(camera="X100")),
        broken={"files alike in all classes": ["camera"]},
        said="files alike in all classes: 1 of 3 facts about files: v must be at most 0.3: 'camera' (0.9964)"
        " (expectations/shortcuts.yaml: files alike in all classes)",
    ),
    **label_cases.CASES,
}
