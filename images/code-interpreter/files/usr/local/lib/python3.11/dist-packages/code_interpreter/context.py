"""A context: a kernel with a name, which remembers what its cells have made."""

import asyncio
import contextlib
import uuid
from typing import Mapping, Optional

from .bash_kernel import BashKernel
from .javascript_kernel import JavaScriptKernel
from .kernel import Changes, Emit, Kernel, KernelDied, failure
from .python_kernel import PythonKernel

KERNELS = {
    "python": PythonKernel,
    "javascript": lambda: JavaScriptKernel(typescript=False),
    "typescript": lambda: JavaScriptKernel(typescript=True),
    "bash": BashKernel,
}
_SHORT = {"js": "javascript", "ts": "typescript", "py": "python", "sh": "bash"}
# In s: how long a cell that was interrupted may take to end before its kernel is started anew.
_GRACE = 10


def language_of(name: Optional[str]) -> Optional[str]:
    """What a language is called here; None: there is no kernel for it."""
    lower = (name or "python").lower().strip()
    found = _SHORT.get(lower, lower)
    return found if found in KERNELS else None


def changes_between(given: Mapping[str, str], wanted: Mapping[str, str]) -> Changes:
    gone = {name: None for name in given if name not in wanted}
    return {**gone, **{name: value for name, value in wanted.items() if given.get(name) != value}}


class Context:
    """`environment` is that of the sandbox, which may be given after its kernel has started."""

    def __init__(self, language: str, cwd: str, environment: dict[str, str]) -> None:
        self.id = str(uuid.uuid4())
        self.language = language
        self.cwd = cwd
        self._environment = environment
        self._given: Mapping[str, str] = {}
        self._kernel: Optional[Kernel] = None
        # Of the kernels that count no cells themselves.
        self._count = 0
        self._lock = asyncio.Lock()
        self._running: Optional["asyncio.Task[None]"] = None

    def view(self) -> Mapping[str, str]:
        return {"id": self.id, "language": self.language, "cwd": self.cwd}

    async def start(self) -> None:
        """Throws OSError and KernelDied. May be repeated."""
        async with self._lock:
            await self._started()

    async def _started(self) -> Kernel:
        if self._kernel:
            return self._kernel
        kernel = KERNELS[self.language]()
        self._given = dict(self._environment)
        self._count = 0
        try:
            await kernel.start(self.cwd, self._given)
        except BaseException:
            await kernel.stop()
            raise
        self._kernel = kernel
        return kernel

    async def _drop(self) -> None:
        kernel, self._kernel = self._kernel, None
        if kernel:
            with contextlib.suppress(Exception):
                await kernel.stop()

    async def execute(self, code: str, variables: Mapping[str, str], emit: Emit) -> None:
        """Runs a cell after those that are waiting. When this is cancelled, the cell is interrupted."""
        async with self._lock:
            running = asyncio.ensure_future(self._run(code, variables, emit))
            self._running = running
            try:
                await asyncio.shield(running)
            except asyncio.CancelledError:
                if not running.cancelled():
                    await self._interrupt(running)
                raise
            finally:
                self._running = None

    async def _run(self, code: str, variables: Mapping[str, str], emit: Emit) -> None:
        try:
            kernel = await self._started()
            wanted = {**self._environment, **variables}
            changes = changes_between(self._given, wanted)
            if changes:
                await kernel.set_environment(changes)
                self._given = wanted
            self._count += 1
            if not isinstance(kernel, PythonKernel):
                await emit({"type": "number_of_executions", "execution_count": self._count})
            await kernel.run(code, emit)
        except KernelDied:
            await self._drop()
            await emit(failure("KernelDied", "The kernel ended; the next execution begins with a new one"))
        except OSError as error:
            await self._drop()
            await emit(failure("KernelFailed", str(error)))

    async def _interrupt(self, running: "asyncio.Task[None]") -> None:
        if self._kernel:
            with contextlib.suppress(OSError):
                await self._kernel.interrupt()
        done, _ = await asyncio.wait([running], timeout=_GRACE)
        if not done:
            await self._drop()
            running.cancel()
            await asyncio.wait([running])

    async def restart(self) -> None:
        """Ends the cell that runs, and all that cells have made. Throws OSError and KernelDied."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        running = self._running
        await self._drop()
        if running:
            await asyncio.wait([running], timeout=_GRACE)
