import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from evaluations_made import Made, P, make

from assay.evaluation import advice, areas, examples, page, pictures
from assay.evaluation.advice import Confused

DIGITS = tuple("0123456789")
MOST_BYTES = 15_000_000
VOID = {"meta", "img", "br", "input", "link", "hr", "wbr"}


class Read(HTMLParser):
    """Collects what the tests ask of a page, and finds tags that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} is closed where another is open"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def ten() -> Made:
    return make(DIGITS, n_test=400, accuracy=0.9)


@pytest.fixture(scope="module")
def sets() -> Made:
    return make(("cat", "dog", "<x>"), n_test=150, accuracy=0.9, task="multi_label")


def sections(html: str) -> list[str]:
    return re.findall(r'<section id="(\w+)"', html)


def check_form(html: str) -> Read:
    """Check what every page must be: whole, silent, small, and usable by keyboard and reader; return it read."""
    read = Read(html)
    assert read.open == []
    assert not re.search(r'(?:src|href)="(?!#|data:|\.\./|suspects\.csv)|url\(|@import|https?://', html)
    assert len(html.encode()) < MOST_BYTES
    images = read.all("img")
    assert all(each["loading"] == "lazy" and each["decoding"] == "async" and each["alt"] for each in images)
    assert all(re.fullmatch(r"\w{64}", str(each["data-sha256"])) for each in images)
    ids = [attrs["id"] for _, attrs in read.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(each["href"])[1:] for each in read.all("a") if str(each["href"]).startswith("#")} <= set(ids)
    assert {attrs["aria-labelledby"] for _, attrs in read.tags if "aria-labelledby" in attrs} <= set(ids)
    assert all(each.get("aria-label") or each.get("aria-hidden") for each in read.all("svg"))
    assert all(attrs.get("aria-label") for _, attrs in read.tags if attrs.get("role") == "region")
    return read


def test_the_page_answers_in_the_order_in_which_people_ask(ten: Made) -> None:
    html = ten.html()
    check_form(html)
    wanted = [
        "why",
        "training",
        "confusion",
        "pairs",
        "classes",
        "curves",
        "wrong",
        "slices",
        "suspects",
        "unlike",
        "run",
    ]
    assert sections(html) == wanted
    assert html == ten.html()


def test_a_cell_of_the_matrix_leads_to_all_its_images(ten: Made) -> None:
    html = ten.html()
    answers, names = ten.found.test.answers, ten.found.test.outputs.names()
    actual, predicted = answers.actual.argmax(axis=1), answers.predicted.argmax(axis=1)
    cells = re.findall(r'<section class="cell" id="cell-(\d)-(\d)".*?>(.*?)</section>', html, re.DOTALL)
    assert len(cells) > 5
    for row, column, content in cells:
        of = np.flatnonzero((actual == int(row)) & (predicted == int(column)))
        assert set(re.findall(r'data-sha256="(\w+)"', content)) == {names[place] for place in of}
        said = f'<a href="#cell-{row}-{column}" aria-label="{row} taken for {column}: {len(of)}, '
        assert said in html
    wrong = {(a, p) for a, p in zip(actual, predicted, strict=True) if a != p}
    assert {(int(row), int(column)) for row, column, _ in cells} == wrong


def test_the_commonest_errors_have_the_nearest_train_images_beside_them(ten: Made) -> None:
    html = ten.html()
    pairs = re.search(r'<section id="pairs".*?</section>', html, re.DOTALL)
    assert pairs is not None
    shown = examples.choose(ten.found, ten.known)
    counts = list(shown.n_of_cells.values())
    assert counts == sorted(counts, reverse=True)
    first = shown.cells[shown.pairs[0]][0]
    near = [ten.known.sha256[at].decode() for at in ten.found.nearest[first][: examples.NEAR]]
    hashes = re.findall(r'data-sha256="(\w+)"', pairs[0])
    assert hashes[: 1 + examples.NEAR] == [ten.found.test.outputs.names()[first], *near]


def test_a_model_below_the_limit_is_never_called_good(ten: Made) -> None:
    accuracy = ten.found.test.measured.accuracy
    assert accuracy.low > 3 * ten.found.test.measured.overall["baseline_accuracy"].value  # and yet
    found = page.headline(ten.found, P.register)
    assert (found.style, found.words) == ("bad", "Not good enough by itself")
    assert '<div class="verdict bad">' in ten.html()
    lower = dataclasses.replace(P.register, min_accuracy=0.5, min_class_recall=0.5)
    assert page.headline(ten.found, lower).style == "good"


def test_a_model_that_may_only_guess_is_called_good_with_doubts() -> None:
    made = make(("common", "rare"), n_test=40, accuracy=0.9)
    p = dataclasses.replace(P.register, min_accuracy=0.0, min_class_recall=0.0)
    assert page.headline(made.found, p).style == "good"
    one_group = dataclasses.replace(made.found.test.answers, groups=np.zeros(40, int))
    test = dataclasses.replace(made.found.test, answers=one_group)
    found = page.headline(dataclasses.replace(made.found, test=test), p)
    assert found.style == "warning"
    assert found.doubts[0].startswith(
        "not surely better than always answering with the commonest class, which scores 0.5"
    )


def test_shares_are_those_that_register_finds(ten: Made) -> None:
    accuracy, recalls = page.shares(ten.found, ten.found.confidence)
    assert accuracy == ten.found.test.measured.accuracy
    assert list(recalls.values()) == [score.recall for score in ten.found.test.measured.classes]


def test_names_are_escaped_everywhere() -> None:
    names = ("<script>alert(1)</script>", "a & \"b\" 'c'")
    html = make(names, n_test=80, accuracy=0.7).html()
    check_form(html)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; taken for a &amp; &#34;b&#34; &#39;c&#39;" in html


@pytest.mark.slow
def test_a_hundred_classes_and_five_thousand_errors_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(areas, "MOST_DECISIONS", 0)  # intervals of areas take long, and are no part of this
    made = make(tuple(f"class {n}" for n in range(100)), n_test=7000, accuracy=0.25, shape=(48, 48, 3))
    n_wrong = int((~made.found.test.answers.right).sum())
    assert n_wrong >= 5000
    html = made.html()
    read = check_form(html)
    assert f"{n_wrong:,} of 7,000 test images are wrong" in html
    assert 500 < len(read.all("img")) < 700
    assert [each for each in read.all("svg") if each.get("class") == "matrix"]
    grey = re.findall(r'class="line other"', html)
    assert len(grey) > 2 * (100 - 5 - 1)
    assert all(f"class {n}</bdi></th>" in html for n in range(100))


def test_pictures_of_pure_noise_fit_into_the_budget() -> None:
    rng = np.random.default_rng(0)
    pixels = {f"{n}": rng.integers(0, 256, (200, 200, 3), np.uint8) for n in range(12)}
    uses = [key for key in pixels for _ in range(60)]  # 720 pictures
    found = pictures.encode(pixels, uses)
    assert 0 < sum(len(found[key]) for key in uses) <= pictures.BUDGET
    few = pictures.encode(pixels, pixels)
    assert all(len(few[key]) > len(found[key]) for key in pixels)  # larger, where they are few


def test_small_images_keep_every_pixel() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    assert pictures.picture(image, 160).startswith("data:image/png;base64,")
    assert pictures.picture(np.zeros((120, 90, 3), np.uint8), 160).startswith("data:image/jpeg;base64,")


def test_one_error_and_none_are_told() -> None:
    made = make(("a", "b"), n_test=60, accuracy=1.0)
    answers = made.found.test.answers
    flipped = answers.predicted.copy()
    flipped[:] = answers.actual
    for n_wrong in (0, 1):
        flipped[:n_wrong] = ~answers.actual[:n_wrong]
        test = dataclasses.replace(made.found.test, answers=dataclasses.replace(answers, predicted=flipped))
        html = dataclasses.replace(made, found=dataclasses.replace(made.found, test=test)).html()
        check_form(html)
        assert f"{n_wrong} of 60 test images {'is' if n_wrong == 1 else 'are'} wrong" in html
        assert len(re.findall('<section class="cell"', html)) == n_wrong
        assert ("<p>No error.</p>" in html) == (n_wrong == 0)


@pytest.mark.parametrize(
    ("n_test", "n_unanswered", "said"),
    [
        (1, 0, "no test image of 1, 2, 3, 4, 5 and 4 more: of these classes nothing is known"),
        (1, 1, "1 test images have a probability that is no number: no answer"),
        (40, 3, "3 test images have a probability that is no number: no answer"),
    ],
)
def test_what_cannot_be_known_is_said_and_all_else_is_shown(n_test: int, n_unanswered: int, said: str) -> None:
    html = make(DIGITS, n_test=n_test, accuracy=0.9, n_unanswered=n_unanswered).html()
    check_form(html)
    assert f'<span class="warning">doubt</span> · {said}.' in html
    assert (">nan" in html, "NaN" in html.partition("<script>")[0]) == (False, False)
    assert ("taken for none of the classes" in html) == (n_unanswered > 0)


def test_a_multi_label_page_has_missed_and_wrongly_named_images(sets: Made) -> None:
    html = sets.html()
    check_form(html)
    answers, names = sets.found.test.answers, sets.found.test.outputs.names()
    missed = answers.actual[:, 1] & ~answers.predicted[:, 1]
    cell = re.search(r'<section class="cell" id="cell-1-0".*?</section>', html, re.DOTALL)
    assert cell is not None
    shown = set(re.findall(r'data-sha256="(\w+)"', cell[0]))
    assert shown <= {names[place] for place in np.flatnonzero(missed)}
    assert len(shown) == min(examples.OF_CELL, int(missed.sum())) > 0
    assert f'<a href="#cell-1-0" aria-label="{int(missed.sum())}: dog missed">' in html
    assert "Exact match" in html
    assert '<th scope="col">threshold</th>' in html


def test_sample_is_of_errors_that_are_drawn_and_not_the_surest() -> None:
    made = make(DIGITS, n_test=600, accuracy=0.5)
    shown = examples.choose(made.found, made.known)
    assert len(shown.surest) == examples.SUREST
    assert len(set(shown.drawn)) == examples.DRAWN
    assert not made.found.test.answers.right[shown.drawn].any()
    assert made.found.test.answers.right[shown.right].all()
    assert set(shown.drawn) - set(shown.surest)
    assert shown == examples.choose(made.found, made.known)


def test_advice_says_what_the_numbers_mean(ten: Made) -> None:
    score = ten.found.test.measured.classes[0]
    low, high = (dataclasses.replace(score.recall, value=v, low=v - 0.1, high=min(1, v + 0.1)) for v in (0.5, 0.95))
    to, of = Confused(name="7", n=12), Confused(name="3", n=4)

    def said(recall: object, precision: object, share: float = 1.0, **counts: int) -> str:
        known = {"n": 40, "n_named": 32, "n_found": 20} | counts
        return advice.of_class(dataclasses.replace(score, recall=recall, precision=precision, **known), to, of, share)

    missed, wrongly = (
        "20 of 40 images missed (most taken for 7: 12)",
        "12 of 32 answers with it wrong (most on images of 3: 4)",
    )
    assert said(low, high) == f"{missed}: add train images like these."
    assert said(high, low) == f"{wrongly}: add train images of what it is named on, and look at their labels."
    assert said(low, low) == f"{missed}; {wrongly}: ask people whether they can tell it."
    assert said(high, high) == "Nothing stands out."
    assert said(high, high, n=20, n_named=20) == "No error."
    assert said(low, high, 0.1).endswith("It has 10 % as many train images as the commonest class: add some first.")
    assert said(low, high, n_named=0).startswith("Never named (most taken for 7: 12)")
    assert said(low, high, n=0) == "No test image, so nothing is known of it: add some."
    wide = dataclasses.replace(low, low=0.2, high=0.8)
    assert said(wide, high, n=5).endswith("With 5 test images its recall is hardly known: add test images.")
