"""What runs the cells of one context."""

import abc
from datetime import datetime, timezone
from typing import Any, Awaitable, Callable, Mapping, Optional

# A line of the answer. It is awaited, so that a client that reads slowly slows a cell that writes fast.
Line = dict[str, Any]
Emit = Callable[[Line], Awaitable[None]]
# By name; None takes one away.
Changes = Mapping[str, Optional[str]]


class KernelDied(Exception):
    """It ended in the middle of something, and with it all that its cells had made."""


class Kernel(abc.ABC):
    """One cell at a time; who calls sees to that. Every method but `stop` throws KernelDied."""

    @abc.abstractmethod
    async def start(self, cwd: str, env: Mapping[str, str]) -> None:
        """Throws OSError for a folder that is not there."""

    @abc.abstractmethod
    async def set_environment(self, changes: Changes) -> None: ...

    @abc.abstractmethod
    async def run(self, code: str, emit: Emit) -> None:
        """Resolves when the cell is over and all its output was given."""

    @abc.abstractmethod
    async def interrupt(self) -> None:
        """Has the cell that runs end soon, if it can."""

    @abc.abstractmethod
    async def stop(self) -> None: ...


def output(stream: str, text: str) -> Line:
    return {"type": stream, "text": text, "timestamp": datetime.now(timezone.utc).isoformat()}


def failure(name: str, value: str, traceback: str = "") -> Line:
    return {"type": "error", "name": name, "value": value, "traceback": traceback}


# What SDKs call the forms that a result may have.
_FORMS = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    "e2b/data": "data",
    "e2b/chart": "chart",
}


def result(forms: Mapping[str, Any], is_main: bool) -> Line:
    """`forms`: by MIME type. Those that have no name are in `extra`."""
    line: Line = {"type": "result", "is_main_result": is_main}
    extra = {}
    for mime, value in forms.items():
        if mime in _FORMS:
            line[_FORMS[mime]] = value
        else:
            extra[mime] = value
    text = line.get("text")
    # SDKs give the text of a string without the quotes that it has in a console.
    if isinstance(text, str) and len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        line["text"] = text[1:-1]
    return {**line, "extra": extra} if extra else line
