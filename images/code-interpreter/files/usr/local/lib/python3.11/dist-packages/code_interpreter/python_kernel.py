"""Cells of Python: IPython's own kernel, by Jupyter's protocol (https://jupyter-client.readthedocs.io/en/stable/messaging.html)."""

import json
import queue
from typing import Any, Mapping, Optional

from jupyter_client.manager import AsyncKernelManager

from .kernel import Changes, Emit, Kernel, KernelDied, failure, output, result

# Where ipykernel is described: /usr/local/share/jupyter/kernels/code-interpreter/kernel.json.
_NAME = "code-interpreter"
# In s: after how long a kernel that says nothing is looked at.
_LOOK = 1


class PythonKernel(Kernel):
    def __init__(self) -> None:
        self._manager = AsyncKernelManager(kernel_name=_NAME)
        self._client: Any = None

    async def start(self, cwd: str, env: Mapping[str, str]) -> None:
        await self._manager.start_kernel(cwd=cwd, env=dict(env))
        self._client = self._manager.client()
        # Not the heartbeat: a process is looked at instead, which tells the same of a child.
        self._client.start_channels(stdin=False, hb=False)
        try:
            await self._client.wait_for_ready(timeout=120)
        except RuntimeError as error:
            await self.stop()
            raise KernelDied() from error

    async def set_environment(self, changes: Changes) -> None:
        text = repr(json.dumps(dict(changes)))
        # Leaves no name behind.
        code = f"__import__('code_interpreter.display').display.change_environment({text})"
        await self._execute(code, None)

    async def run(self, code: str, emit: Emit) -> None:
        await self._execute(code, emit)

    async def _execute(self, code: str, emit: Optional[Emit]) -> None:
        silent = emit is None
        request = self._client.execute(code, silent=silent, store_history=not silent, allow_stdin=False)
        failed = False
        while True:
            message = await self._next(self._client.get_iopub_msg)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            failed = failed or kind == "error"
            line = _line(kind, content)
            if line and emit:
                await emit(line)
        reply = await self._reply(request)
        if emit and reply["status"] != "ok" and not failed:
            await emit(failure(reply.get("ename", "Aborted"), reply.get("evalue", "The execution was aborted")))

    async def _reply(self, request: str) -> Mapping[str, Any]:
        while True:
            message = await self._next(self._client.get_shell_msg)
            if message["parent_header"].get("msg_id") == request:
                return message["content"]

    async def _next(self, get: Any) -> Any:
        while True:
            try:
                return await get(timeout=_LOOK)
            except queue.Empty:
                if not await self._manager.is_alive():
                    raise KernelDied() from None
            except Exception as error:
                # Its sockets were closed by `stop`.
                raise KernelDied() from error

    async def interrupt(self) -> None:
        await self._manager.interrupt_kernel()

    async def stop(self) -> None:
        if self._client:
            self._client.stop_channels()
        if self._manager.has_kernel:
            await self._manager.shutdown_kernel(now=True)


def _line(kind: str, content: Mapping[str, Any]) -> Any:
    if kind == "stream":
        return output(content["name"], content["text"])
    if kind == "execute_input":
        return {"type": "number_of_executions", "execution_count": content["execution_count"]}
    if kind in ("execute_result", "display_data"):
        return result(content["data"], kind == "execute_result")
    if kind == "error":
        return failure(content["ename"], content["evalue"], "\n".join(content["traceback"]))
    return None
