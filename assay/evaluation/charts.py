"""Charts as SVG, drawn by pure functions: numbers in, markup out. No script, no fonts, no colours of their own.

Colours come from the page's style by class, so that a chart reads well in light and dark: `series-1` to `series-6`,
`other` for what is only there to be beside them, `ideal` for what a perfect model would do. Coordinates have one
decimal, so that equal numbers give equal bytes. Every text is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

WIDTH, HEIGHT = 360, 230  # in the units of the SVG; text is readable where the page gives it 320 px
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 20, 40  # margins
N_TICKS = 5
LEVELS = (0.0, 0.01, 0.03, 0.1, 0.3, 0.6)  # of a share above these, the colour of a cell; each is told from the next
CELL, NAMES = 10, 90  # of a matrix that is drawn: side of a cell, room for names
LETTERS = 14  # of a name beside the matrix

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Axis:
    label: str
    low: float
    high: float

    def place(self, value: float) -> float:
        """Return where the value lies between the ends, in [0, 1] if it does."""
        return (value - self.low) / (self.high - self.low)


SHARE = {"low": 0.0, "high": 1.0}


@dataclass(frozen=True, kw_only=True)
class Line:
    name: str  # in the legend; empty: it is not in it
    style: str
    points: Points


@dataclass(frozen=True, kw_only=True)
class Dot:
    x: float
    y: float
    size: float  # of the area, in [0, 1]
    style: str
    said: str  # of a dot, when it is pointed at


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A vertical line with a word beside it."""

    x: float
    said: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    title: str
    svg: Markup
    legend: tuple[tuple[str, str], ...]  # style and name
    note: str


def around(label: str, values: Sequence[float]) -> Axis:
    """Return an axis from 0, or the lowest value if that is below, to the highest; what is no number is ignored."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, *known])
    return Axis(label=label, low=low, high=high if high > low else low + 1)


def draw(
    title: str,
    lines: Sequence[Line],
    *,
    x: Axis,
    y: Axis,
    note: str = "",
    dots: Sequence[Dot] = (),
    marks: Sequence[Mark] = (),
) -> Chart:
    """Return the chart; later lines lie above earlier ones."""
    parts = [_frame(x, y), *(_mark(mark, x) for mark in marks)]
    parts += [_line(line, x, y) for line in lines]
    parts += [_dot(dot, x, y) for dot in dots]
    said = f"{title}. {note}" if note else title
    svg = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, said, Markup("").join(parts)
    )
    return Chart(title=title, svg=svg, legend=tuple((each.style, each.name) for each in lines if each.name), note=note)


def _at(x: Axis, y: Axis, point: tuple[float, float]) -> tuple[float, float]:
    across, up = x.place(point[0]), y.place(point[1])
    return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def path(points: Points, x: Axis, y: Axis) -> str:
    """Return the `d` of a path through the points; one that is no number leaves a gap."""
    parts, pen = [], "M"
    for point in points:
        if not all(map(math.isfinite, point)):
            pen = "M"
            continue
        across, down = _at(x, y, point)
        parts.append(f"{pen}{across:.1f},{down:.1f}")
        pen = "L"
    return "".join(parts)


def _line(line: Line, x: Axis, y: Axis) -> Markup:
    title = Markup("<title>{}</title>").format(line.name) if line.name else Markup("")
    return Markup('<path class="line {}" d="{}">{}</path>').format(line.style, path(line.points, x, y), title)


def _dot(dot: Dot, x: Axis, y: Axis) -> Markup:
    across, down = _at(x, y, (dot.x, dot.y))
    radius = 2 + 7 * math.sqrt(dot.size)
    return Markup('<circle class="dot {}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        dot.style, f"{across:.1f}", f"{down:.1f}", f"{radius:.1f}", dot.said
    )


def _mark(mark: Mark, x: Axis) -> Markup:
    across = LEFT + x.place(mark.x) * (WIDTH - LEFT - RIGHT)
    is_right = x.place(mark.x) > 0.6  # the word would leave the picture
    text = Markup('<text class="mark" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        f"{across + (-4 if is_right else 4):.1f}", TOP - 7, "end" if is_right else "start", mark.said
    )
    return Markup('<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>{3}').format(
        f"{across:.1f}", TOP, HEIGHT - BOTTOM, text
    )


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers in [low, high], about `N_TICKS` of them: 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / N_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _frame(x: Axis, y: Axis) -> Markup:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value in ticks(y.low, y.high):
        down = f"{_at(x, y, (x.low, value))[1]:.1f}"
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, right, down, down))
        parts.append(
            Markup('<text x="{}" y="{}" dy=".35em" text-anchor="end">{:g}</text>').format(LEFT - 5, down, value)
        )
    for value in ticks(x.low, x.high):
        across = f"{_at(x, y, (value, y.low))[0]:.1f}"
        parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{:g}</text>').format(across, bottom + 14, value))
    middle = (LEFT + right) / 2
    parts.append(Markup('<text x="{:.0f}" y="{}" text-anchor="middle">{}</text>').format(middle, HEIGHT - 6, x.label))
    centre = (TOP + bottom) / 2
    turned = Markup('<text transform="translate(11 {:.0f}) rotate(-90)" text-anchor="middle">{}</text>')
    parts.append(turned.format(centre, y.label))
    return Markup("").join(parts)


def steps(values: np.ndarray, edges: np.ndarray) -> Points:
    """Return the outline of a histogram: the share of the values [N] between the edges [B + 1].

    Values beyond the ends count in the outermost bins.
    """
    counts = np.histogram(values.clip(edges[0], edges[-1]), bins=edges)[0] / max(1, len(values))
    outline = [(float(edge), float(share)) for n, share in enumerate(counts) for edge in edges[n : n + 2]]
    return [(float(edges[0]), 0.0), *outline, (float(edges[-1]), 0.0)]


def grids(title: str, shares: Mapping[str, np.ndarray], note: str) -> Chart:
    """Return squares of pixels side by side, each with its name above; shares [S, S], what is no number is empty."""
    parts, gap = [], 12
    side = (WIDTH - gap * (len(shares) - 1)) / len(shares)
    for number, (name, square) in enumerate(shares.items()):
        begin, size = number * (side + gap), side / len(square)
        parts.append(Markup('<text x="{:.1f}" y="12">{}</text>').format(begin, name))
        rect = Markup('<rect class="wrong-{}" x="{:.1f}" y="{:.1f}" width="{:.2f}" height="{:.2f}"/>')
        parts += [
            rect.format(max(1, level(square[row, column])), begin + column * size, TOP + row * size, size, size)
            for row, column in np.argwhere(np.isfinite(square))
        ]
    svg = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}. {}">{}</svg>')
    drawn = svg.format(WIDTH, TOP + side + 2, title, note, Markup("").join(parts))
    return Chart(title=title, svg=drawn, legend=(), note=note)


def level(share: float) -> int:
    """Return the number of the colour of a share, from 0 for none to 6."""
    return sum(share > limit for limit in LEVELS)


def matrix(counts: np.ndarray, names: Sequence[str], linked: dict[tuple[int, int], str]) -> Markup:
    """Return a confusion matrix [K, K] as a picture, for more classes than a table can hold.

    Empty cells are not drawn. `linked`: the anchors of the cells that lead somewhere.
    """
    of_rows = counts.sum(axis=1)
    cells = [
        _cell(row, column, counts[row, column], of_rows[row], names, linked.get((row, column)))
        for row, column in zip(*np.nonzero(counts), strict=True)
    ]
    side = len(names) * CELL
    lines = [Markup('<rect class="paper" x="{0}" y="{0}" width="{1}" height="{1}"/>').format(NAMES, side)]
    for number, name in enumerate(names):
        half = LETTERS // 2  # many names begin alike, or end alike
        short = name if len(name) <= LETTERS else f"{name[:half]}…{name[-half + 1 :]}"
        at = NAMES + number * CELL + CELL * 0.75
        lines.append(Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(NAMES - 4, at, short))
        turned = Markup('<text transform="translate({:.1f} {}) rotate(-90)">{}</text>')
        lines.append(turned.format(at, NAMES - 4, short))
    said = "Confusion matrix. Rows are actual classes, columns what the model said. The largest cells are listed below."
    whole = Markup(
        '<svg class="matrix" viewBox="0 0 {0} {0}" style="width: {0}px" role="group" aria-label="{1}">{2}</svg>'
    )
    return whole.format(NAMES + side + 2, said, Markup("").join([*lines, *cells]))


def _cell(row: int, column: int, count: int, of_row: int, names: Sequence[str], anchor: str | None) -> Markup:
    share = count / of_row
    verb = "found" if row == column else f"taken for {names[column]}"
    said = f"{names[row]} {verb}: {count:,} of {of_row:,}, {100 * share:.1f} %"
    rect = Markup('<rect class="{}{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
        "right-" if row == column else "wrong-",
        level(share),
        NAMES + column * CELL,
        NAMES + row * CELL,
        CELL,
        CELL,
        said,
    )
    return Markup('<a href="#{}" aria-label="{}">{}</a>').format(anchor, said, rect) if anchor else rect
