"""What a figure of matplotlib shows, as data: the charts of E2B's SDKs (`charts.d.ts` in the npm package @e2b/code-interpreter)."""

import re
from typing import Any, Optional

from matplotlib.axes import Axes
from matplotlib.category import StrCategoryConverter
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.dates import DateConverter, _SwitchableDateConverter, num2date
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, Wedge

from .boxes import boxes_of
from .labels import labels_along, places_along
from .plain import plain

Chart = dict[str, Any]


def chart_of(figure: Figure) -> Optional[Chart]:
    """None for a figure without anything in it."""
    axes = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    if not any(ax.has_data() for ax in axes):
        return None
    if len(axes) == 1:
        return _chart(axes[0])
    title = figure._suptitle.get_text() if figure._suptitle else None
    return {"type": "superchart", "title": title or None, "elements": [_chart(ax) for ax in axes]}


def _chart(ax: Axes) -> Chart:
    # Those of axhline and the like are no data: their ends are parts of the picture.
    lines = [line for line in ax.lines if line.get_transform() is ax.transData]
    bars = [container for container in ax.containers if isinstance(container, BarContainer)]
    if ax.images:
        return _named(ax, "unknown", [])
    boxes = boxes_of(ax)
    if boxes:
        return _labelled(ax, "box_and_whisker", boxes["elements"], boxes["horizontal"])
    if ax.patches and all(isinstance(patch, Wedge) for patch in ax.patches):
        return _named(ax, "pie", [_wedge(wedge) for wedge in ax.patches])
    if bars and not lines and all(isinstance(patch, Rectangle) for patch in ax.patches):
        horizontal = all(container.orientation == "horizontal" for container in bars)
        return _labelled(ax, "bar", _bars(ax, bars), horizontal)
    if lines and not ax.patches and not ax.collections:
        return _planar(ax, "line", [_line(line) for line in lines])
    dots = [dots for dots in ax.collections if isinstance(dots, PathCollection)]
    if dots and not lines and not ax.patches and len(dots) == len(ax.collections):
        return _planar(ax, "scatter", [_points(one.get_label(), one.get_offsets().tolist()) for one in dots])
    return _named(ax, "unknown", [])


def _named(ax: Axes, kind: str, elements: list[Any]) -> Chart:
    return {"type": kind, "title": ax.get_title() or None, "elements": elements}


def _labelled(ax: Axes, kind: str, elements: list[Any], turned: bool = False) -> Chart:
    """`turned`: what is measured goes along the x axis; in the data it is always y."""
    x, y = ax.get_xlabel() or None, ax.get_ylabel() or None
    if turned:
        x, y = y, x
    axes = {"x_label": x, "y_label": y, "x_unit": _unit(x), "y_unit": _unit(y)}
    return {**_named(ax, kind, elements), **axes}


def _unit(label: Optional[str]) -> Optional[str]:
    """Of "Time (s)" and "Time [s]"."""
    found = re.search(r"\s[(\[]([^)\]]+)[)\]]", label or "")
    return found.group(1) if found else None


def _planar(ax: Axes, kind: str, elements: list[Any]) -> Chart:
    scales: Chart = {}
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        dates = isinstance(axis.converter, (DateConverter, _SwitchableDateConverter))
        words = isinstance(axis.converter, StrCategoryConverter)
        ticks = places_along(axis)
        scales[f"{name}_ticks"] = [num2date(tick).isoformat() for tick in ticks] if dates else plain(ticks)
        scales[f"{name}_tick_labels"] = [label.get_text() for label in axis.get_majorticklabels()]
        scales[f"{name}_scale"] = "datetime" if dates else "categorical" if words else axis.get_scale()
    return {**_labelled(ax, kind, elements), **scales}


def _line(line: Line2D) -> Chart:
    label = re.sub(r"^_child(\d+)$", r"Line \1", line.get_label())
    # As they were given, words and dates too.
    return _points(label, list(zip(line.get_xdata(orig=True), line.get_ydata(orig=True))))


def _points(label: str, points: list[Any]) -> Chart:
    return {"label": label, "points": plain(points)}


def _wedge(wedge: Wedge) -> Chart:
    # matplotlib reckons with single precision.
    angle = abs(round(float(wedge.theta2) - float(wedge.theta1), 3))
    return {"label": wedge.get_label(), "angle": angle, "radius": round(float(wedge.r), 6)}


def _bars(ax: Axes, containers: list[BarContainer]) -> list[Any]:
    elements = []
    for container in containers:
        group = re.sub(r"^_container(\d+)$", r"Group \1", container.get_label())
        flat = container.orientation == "horizontal"
        label_at = labels_along(ax.yaxis if flat else ax.xaxis)
        for bar in container.patches:
            centre = bar.get_y() + bar.get_height() / 2 if flat else bar.get_x() + bar.get_width() / 2
            value = bar.get_width() if flat else bar.get_height()
            elements.append({"label": label_at(centre), "group": group, "value": plain(float(value))})
    return elements
