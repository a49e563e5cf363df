"""An extension of IPython: what more is told of some values than IPython does, for the forms that E2B's SDKs know."""

import json
import os
import sys
from typing import Any

from IPython.core.formatters import BaseFormatter, JSONFormatter
from IPython.display import display
from traitlets import ObjectName, Unicode

from .plain import plain


class DataFormatter(BaseFormatter):
    """Tables of pandas, by columns."""

    format_type = Unicode("e2b/data")
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = dict

    def __call__(self, value: Any) -> Any:
        # Nothing is of a library that nobody has imported, and importing one is slow.
        pandas = sys.modules.get("pandas")
        if pandas is None or not isinstance(value, pandas.DataFrame):
            return super().__call__(value)
        return plain(value.to_dict(orient="list"))


class ChartFormatter(BaseFormatter):
    """Figures of matplotlib."""

    format_type = Unicode("e2b/chart")
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = dict

    def __call__(self, value: Any) -> Any:
        module = sys.modules.get("matplotlib.figure")
        if module is None or not isinstance(value, module.Figure):
            return super().__call__(value)
        from .charts import chart_of

        try:
            return chart_of(value)
        except Exception as error:
            # The picture is there all the same.
            print(f"The chart cannot be told as data: {error!r}", file=sys.__stderr__)
            return None


class ContainerFormatter(JSONFormatter):
    """Lists and dictionaries, beside what says itself how it is in JSON."""

    def __call__(self, value: Any) -> Any:
        return plain(value) if isinstance(value, (list, dict)) else super().__call__(value)


def change_environment(changes: str) -> None:
    """`changes`: JSON, by name; null takes one away."""
    for name, value in json.loads(changes).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _show_saved_images() -> None:
    """A picture that a cell saves is a result of it too."""
    try:
        from PIL import Image
    except ImportError:
        return
    save = Image.Image.save

    def save_and_show(self: Any, fp: Any, *args: Any, **options: Any) -> None:
        # Not what is written into memory, as for showing it.
        if isinstance(fp, (str, os.PathLike)):
            display(self)
        save(self, fp, *args, **options)

    Image.Image.save = save_and_show


def load_ipython_extension(shell: Any) -> None:
    formatters = shell.display_formatter.formatters
    for name, kind in (
        ("e2b/data", DataFormatter),
        ("e2b/chart", ChartFormatter),
        ("application/json", ContainerFormatter),
    ):
        formatters[name] = kind(parent=shell.display_formatter)
    _show_saved_images()
