"""Cells of bash: one shell that evaluates them, and tells the status of each."""

import shlex
from typing import Mapping, Optional

from .child import Child
from .kernel import Changes, Emit, Kernel, failure

# A cell is what comes before a byte 0 on descriptor 3. Ctrl+C ends what a cell waits for, and not the shell.
_LOOP = """
trap : INT
while IFS= read -r -d '' -u 3 code_interpreter_cell; do
  eval "$code_interpreter_cell" 3<&-
  printf '%d\\0' "$?" >&3
done
"""


class BashKernel(Kernel):
    def __init__(self) -> None:
        self._child: Optional[Child] = None

    async def start(self, cwd: str, env: Mapping[str, str]) -> None:
        self._child = Child(["bash", "-c", _LOOP, "bash"], cwd, env, sockets=1)
        await self._child.open()
        await self._ask(":", None)

    async def set_environment(self, changes: Changes) -> None:
        lines = [
            f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
            for name, value in changes.items()
        ]
        await self._ask("\n".join([":", *lines]), None)

    async def run(self, code: str, emit: Emit) -> None:
        status = await self._ask(code.replace("\0", ""), emit)
        if status != 0:
            await emit(failure("ExitStatus", str(status), f"The last command ended with status {status}"))

    async def _ask(self, code: str, emit: Optional[Emit]) -> int:
        assert self._child
        await self._child.send(code.encode() + b"\0")
        return int(await self._child.read(b"\0", emit))

    async def interrupt(self) -> None:
        assert self._child
        self._child.interrupt()

    async def stop(self) -> None:
        if self._child:
            await self._child.stop()
