"""For every rule of expectations/labels.yaml the smallest manifest that breaks it."""

import pandas as pd
from cases import CLASSES, LEAST, Case, N, images, sound, with_row

CASES = {
    "no label": Case(
        table=with_row(label=None, split=None),
        broken={"label present": ["cat/new.png"]},
        said=f"label present: 1 of {N + 1} labels: label must not be null: cat/new.png (missing)"
        " (expectations/labels.yaml: label present)",
    ),
    "new class": Case(
        table=pd.concat([sound(), images("zebra", **LEAST)], ignore_index=True),
        broken={"known class": [f"zebra/test{number:03}.png" for number in range(21, 31)]},
        said=f"known class: 47 of {N + 47} labels: label must be one of 'cat', 'dog', 'owl': zebra/test021.png"
        " ('zebra'), zebra/test022.png ('zebra')",
    ),
    "misspelt class": Case(
        table=with_row(label="dogg"),
        broken={"known class": ["cat/new.png"]},
        said=f"known class: 1 of {N + 1} labels: label must be one of 'cat', 'dog', 'owl': cat/new.png"
        " ('dogg', did you mean 'dog'?) (expectations/labels.yaml: known class)",
    ),
    "class with a blank": Case(
        table=with_row(label="Owl "),
        broken={"known class": ["cat/new.png"], "one spelling": ["cat/new.png"]},
        said=f"known class: 1 of {N + 1} labels: label must be one of 'cat', 'dog', 'owl': cat/new.png"
        " ('Owl ', did you mean 'owl'?) (expectations/labels.yaml: known class)",
    ),
    "class spelt twice": Case(
        table=pd.concat([sound(), images("Cat", **LEAST), images("cat", train=1).assign(path="cat/x", pixels="x")]),
        classes=(*CLASSES, "Cat"),
        broken={"one spelling": [f"Cat/test{number:03}.png" for number in range(21, 31)]},
        said=f"one spelling: {sum(LEAST.values())} of {N + 48} labels: label must be spelt in one way, case and white"
        " space included: Cat/test021.png ('Cat', did you mean 'cat'?)",
    ),
    "lost class": Case(
        table=sound(owl=images("owl")),
        broken={"every known class": ["owl"], "every class in every split": ["train/owl", "val/owl", "test/owl"]},
        said="every known class: distinct values of label: 'cat', 'dog', must contain 'cat', 'dog', 'owl': 'owl'"
        " (absent) (expectations/labels.yaml: every known class)",
    ),
    "small class": Case(
        table=sound(owl=images("owl", train=19, val=1, test=26)),
        broken={"training images per class": ["owl"]},
        said="training images per class: 1 of 3 classes: train must be at least 20: 'owl' (19)"
        " (expectations/labels.yaml: training images per class)",
    ),
    "one class is most": Case(
        table=sound(cat=images("cat", train=150, val=5, test=30)),
        broken={"class balance": ["cat"]},
        said="class balance: 'cat' holds 66.31% of 279 images, the limit is 60%"
        " (expectations/labels.yaml: class balance)",
    ),
    "rare class": Case(
        table=sound(cat=images("cat", train=400, val=20, test=60), dog=images("dog", train=300, val=20, test=60)),
        broken={"class imbalance": ["owl"]},
        said="class imbalance: 1 of 3 classes: imbalance must be at most 10: 'owl' (10.2128)"
        " (expectations/labels.yaml: class imbalance)",
    ),
    "class without val": Case(
        table=sound(owl=images("owl", train=20, test=26)),
        broken={"every class in every split": ["val/owl"]},
        said="every class in every split: 1 of 9 class splits: n_images must be at least 1: 'val/owl' (0)"
        " (expectations/splits.yaml: every class in every split)",
    ),
    "few to test with": Case(
        table=sound(owl=images("owl", train=20, val=1, test=9)),
        broken={"test images per class": ["owl"], "test images enough": ["owl"]},
        said="test images per class: 1 of 3 classes: test must be at least 10: 'owl' (9)"
        " (expectations/splits.yaml: test images per class)",
    ),
    "too few for the margin": Case(
        table=sound(owl=images("owl", train=20, val=1, test=25)),
        broken={"test images enough": ["owl"]},
        said="test images enough: 1 of 3 classes: test must be enough images to know a recall of 0.9 to within 0.12"
        " (0.95 confidence): 'owl' (25) (expectations/splits.yaml: test images enough)",
    ),
}
