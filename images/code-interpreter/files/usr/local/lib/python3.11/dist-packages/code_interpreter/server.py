"""Answers on port 49999 as SDKs of E2B expect: POST /execute, /contexts, GET /health."""

import asyncio
import json
import os
from typing import Any, Optional

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

from .context import KERNELS, Context, language_of
from .kernel import KernelDied, Line

PORT = 49999
HOME = "/home/user"
# By root alone: who starts this, or finds it running, gives the environment of the sandbox here.
SOCKET = "/run/code-interpreter.sock"
# What SDKs find without having made it.
DEFAULTS = ("python", "javascript")
# In s. A line that clients pass over, so that nothing on the way takes a silent cell for a dead connection.
KEEPALIVE = 15
LARGEST_REQUEST = 1 << 30


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Interpreter:
    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self.contexts: dict[str, Context] = {}
        self._defaults: dict[str, Context] = {}
        self._tasks: set["asyncio.Task[None]"] = set()
        for language in DEFAULTS:
            # Beside the answers: who comes meanwhile waits for it.
            task = asyncio.ensure_future(self.default(language).start())
            self._tasks.add(task)
            task.add_done_callback(self._warmed)

    def _warmed(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            print(f"a kernel did not start: {task.exception()!r}", flush=True)

    def default(self, language: str) -> Context:
        context = self._defaults.get(language)
        if context is None or context.id not in self.contexts:
            context = self._defaults[language] = self.new(language, HOME)
        return context

    def new(self, language: str, cwd: str) -> Context:
        context = Context(language, cwd, self.environment)
        self.contexts[context.id] = context
        return context

    def find(self, name: str) -> Context:
        context = self.contexts.get(name)
        if context is None:
            raise Refused(404, f"Context {name[:100]} not found")
        return context

    def for_cell(self, context_id: Optional[str], language: Optional[str]) -> Context:
        if context_id and language:
            raise Refused(400, "Only one of context_id or language can be provided")
        return self.find(context_id) if context_id else self.default(known(language))


def known(language: Optional[str]) -> str:
    found = language_of(language)
    if found is None:
        raise Refused(400, f"There is no kernel for {str(language)[:100]}: this image has {', '.join(KERNELS)}")
    return found


class Handler(RequestHandler):
    def initialize(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter

    def set_default_headers(self) -> None:
        for name in ("Origin", "Methods", "Headers"):
            self.set_header(f"Access-Control-Allow-{name}", "*")

    def options(self, *_: str) -> None:
        self.set_status(204)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, Refused):
            self.set_status(error.status)
        elif isinstance(error, (KernelDied, OSError)):
            self.set_status(500)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(str(error) if isinstance(error, (Refused, OSError)) else self._reason)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, Refused):
            super().log_exception(typ, value, tb)

    def body(self) -> dict[str, Any]:
        try:
            body = json.loads(self.request.body or b"{}")
        except ValueError:
            raise Refused(400, "The request is no JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "The request is no JSON object")
        return body

    def answer(self, value: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value))


def text_of(body: dict[str, Any], name: str) -> Optional[str]:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(422, f"{name} must be a text")
    return value or None


class Health(Handler):
    def get(self) -> None:
        self.answer("OK")


class Execute(Handler):
    _cell: Optional["asyncio.Task[None]"] = None

    async def post(self) -> None:
        body = self.body()
        code, variables = body.get("code"), body.get("env_vars") or {}
        if not isinstance(code, str):
            raise Refused(422, "code must be a text")
        if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
            raise Refused(422, "env_vars must be texts by name")
        if not all(name.isidentifier() for name in variables):
            raise Refused(422, "env_vars: names have letters, digits and _ alone")
        context = self.interpreter.for_cell(text_of(body, "context_id"), text_of(body, "language"))
        self.set_header("Content-Type", "application/x-ndjson")
        await self.flush()
        self._cell = asyncio.ensure_future(context.execute(code, variables, self._emit))
        try:
            while not (await asyncio.wait([self._cell], timeout=KEEPALIVE))[0]:
                await self._emit({"type": "keepalive"})
            await self._cell
            await self._emit({"type": "end_of_execution"})
        except asyncio.CancelledError:
            pass

    async def _emit(self, line: Line) -> None:
        self.write(json.dumps(line, default=str) + "\n")
        try:
            await self.flush()
        except StreamClosedError:
            # on_connection_close sees to it.
            pass

    def on_connection_close(self) -> None:
        # Nobody will read the rest, and the next cell of the context waits.
        if self._cell:
            self._cell.cancel()


class Contexts(Handler):
    def get(self) -> None:
        self.answer([context.view() for context in self.interpreter.contexts.values()])

    async def post(self) -> None:
        body = self.body()
        cwd = text_of(body, "cwd") or HOME
        if not os.path.isdir(cwd):
            raise Refused(500, f"{cwd[:200]} is no folder")
        context = self.interpreter.new(known(text_of(body, "language")), cwd)
        try:
            await context.start()
        except BaseException:
            del self.interpreter.contexts[context.id]
            raise
        self.answer(context.view())


class OneContext(Handler):
    async def delete(self, name: str) -> None:
        context = self.interpreter.find(name)
        del self.interpreter.contexts[context.id]
        await context.stop()
        self.set_status(204)


class Restart(Handler):
    async def post(self, name: str) -> None:
        await self.interpreter.find(name).restart()
        self.set_status(204)


class Environment(Handler):
    def put(self) -> None:
        environment = self.interpreter.environment
        environment.clear()
        environment.update(self.body())
        self.set_status(204)


async def main() -> None:
    given = {"interpreter": Interpreter()}
    routes = [
        (r"/health", Health, given),
        (r"/execute", Execute, given),
        (r"/contexts", Contexts, given),
        (r"/contexts/([^/]+)", OneContext, given),
        (r"/contexts/([^/]+)/restart", Restart, given),
    ]
    # The own socket last: who sees it knows that the port answers.
    Application(routes).listen(PORT, max_buffer_size=LARGEST_REQUEST)
    own = HTTPServer(Application([(r"/environment", Environment, given)]))
    own.add_socket(bind_unix_socket(SOCKET, mode=0o600))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
