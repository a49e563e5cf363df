"""What stands at the ticks of an axis."""

from typing import Any, Callable


def labels_along(axis: Any) -> Callable[[float], str]:
    """The label of the tick at a place; where there is none, the place itself."""
    places = zip(places_along(axis), axis.get_majorticklabels())
    labels = {round(place, 6): label.get_text() for place, label in places}
    return lambda place: labels.get(round(float(place), 6)) or f"{float(place):g}"


def places_along(axis: Any) -> list[float]:
    """Of ticks, which may come as a list or as an array."""
    return [float(place) for place in axis.get_majorticklocs()]
