"""Cells of JavaScript and TypeScript, by javascript/kernel.mjs, which says what it is told and what it answers."""

import json
from typing import Any, Mapping, Optional

from .child import Child
from .kernel import Changes, Emit, Kernel, failure, result

_ARGV = [
    "/usr/local/bin/node",
    # Its parser, and imports as if cells were files of the working directory.
    "--expose-internals",
    "--experimental-import-meta-resolve",
    "--disable-warning=ExperimentalWarning",
    "/usr/local/lib/code-interpreter/javascript/kernel.mjs",
]


class JavaScriptKernel(Kernel):
    def __init__(self, typescript: bool) -> None:
        self._typescript = typescript
        self._child: Optional[Child] = None

    async def start(self, cwd: str, env: Mapping[str, str]) -> None:
        self._child = Child(_ARGV, cwd, env, sockets=2)
        await self._child.open()
        # Answered when it is up.
        await self.set_environment({})

    async def set_environment(self, changes: Changes) -> None:
        await self._ask({"environment": changes}, None)

    async def run(self, code: str, emit: Emit) -> None:
        await self._ask({"run": code, "typescript": self._typescript}, emit)

    async def _ask(self, request: Mapping[str, Any], emit: Optional[Emit]) -> None:
        assert self._child
        await self._child.send(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(await self._child.read(b"\n", emit))
            if answer.get("done"):
                return
            if emit is None:
                continue
            if "error" in answer:
                await emit(failure(**answer["error"]))
            else:
                await emit(result(answer["result"], answer["main"]))

    async def interrupt(self) -> None:
        assert self._child
        self._child.interrupt()
        self._child.sockets[1].send(b"\n")

    async def stop(self) -> None:
        if self._child:
            await self._child.stop()
