"""Box plots, which matplotlib draws as lines that know nothing of each other."""

from typing import Any, Optional

import numpy
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch

from .labels import labels_along
from .plain import plain


def boxes_of(ax: Axes) -> Optional[dict[str, Any]]:
    """None unless all that is there is box plots."""
    lines = [numpy.asarray(line.get_xydata(), dtype=float) for line in ax.lines]
    if ax.patches:
        if not all(isinstance(patch, PathPatch) for patch in ax.patches):
            return None
        outlines = [patch.get_path().vertices for patch in ax.patches]
    else:
        outlines = [line for line in lines if len(line) >= 5 and numpy.array_equal(line[0], line[-1])]
    # Each has two whiskers, two caps and a median.
    if not outlines or len(lines) < 5 * len(outlines) or ax.collections:
        return None
    whisker = _whisker(lines, outlines[0])
    if whisker is None:
        return None
    horizontal = whisker[0][1] == whisker[1][1]
    if horizontal:
        lines, outlines = [line[:, ::-1] for line in lines], [outline[:, ::-1] for outline in outlines]
    label_at = labels_along(ax.yaxis if horizontal else ax.xaxis)
    elements = [_box(outline, lines, label_at) for outline in outlines]
    return None if None in elements else {"elements": elements, "horizontal": horizontal}


def _whisker(lines: list[Any], outline: Any) -> Optional[Any]:
    """The first line of two points that leaves the box from the middle of one of its sides."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    middle = (low + high) / 2
    for line in lines:
        if len(line) != 2:
            continue
        for axis in (0, 1):
            level = line[0][axis] == line[1][axis]
            if level and numpy.isclose(line[0][axis], middle[axis]) and line[0][1 - axis] in (low[1 - axis], high[1 - axis]):
                return line
    return None


def _box(outline: Any, lines: list[Any], label_at: Any) -> Optional[dict[str, Any]]:
    """Upright: x says which box it is, y is what was measured."""
    (left, first), (right, third) = outline.min(axis=0), outline.max(axis=0)
    centre = (left + right) / 2
    # Those of this box alone: all are within its width.
    own = [line for line in lines if len(line) and left <= line[:, 0].min() and line[:, 0].max() <= right]
    upright = [line for line in own if len(line) == 2 and line[0][0] == line[1][0]]
    across = [line for line in own if len(line) == 2 and line[0][0] != line[1][0] and line[0][1] == line[1][1]]
    # Of the lines across, the caps end the whiskers.
    ends = {float(line[1][1]) for line in upright}
    # A median may lie where a whisker ends: it is as wide as the box or, in a notch, the last that was drawn.
    medians = [line for line in across if first <= line[0][1] <= third]
    if len(upright) < 2 or not medians:
        return None
    widest = max(medians, key=lambda line: abs(line[1][0] - line[0][0]))
    outliers = [
        float(point[1])
        for line in own
        if len(line) != 2 and not numpy.array_equal(line, outline)
        for point in line
        if numpy.isclose(point[0], centre)
    ]
    numbers = {
        "min": min(ends | {float(first)}),
        "first_quartile": float(first),
        "median": float(widest[0][1]),
        "third_quartile": float(third),
        "max": max(ends | {float(third)}),
    }
    return {"label": label_at(centre), **plain(numbers), "outliers": outliers}
