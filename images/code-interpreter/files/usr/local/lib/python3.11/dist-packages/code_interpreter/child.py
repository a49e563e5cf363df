"""A child process whose output is read to where it had come when it said something else by a socket."""

import asyncio
import codecs
import os
import signal
import socket
import subprocess
from typing import Mapping, Optional, Sequence

from .kernel import Emit, KernelDied, output

_PIECE = 65_536


class Child:
    """Leads a session of its own. `sockets`: how many it inherits, from descriptor 3 on; the first is read here by lines."""

    def __init__(self, argv: Sequence[str], cwd: str, env: Mapping[str, str], sockets: int) -> None:
        pairs = [socket.socketpair() for _ in range(sockets)]
        self.sockets = [ours for ours, _ in pairs]
        theirs = [other.fileno() for _, other in pairs]
        # bash sets the numbers, since Popen cannot; all are above 10, and redirections of two digits need bash.
        moves = " ".join(f"{3 + index}<&{number} {number}<&-" for index, number in enumerate(theirs))
        try:
            self._process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" {moves}', "bash", *argv],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=theirs,
                start_new_session=True,
            )
        finally:
            for _, other in pairs:
                other.close()
        self._decoders = {}
        for name, pipe in (("stdout", self._process.stdout), ("stderr", self._process.stderr)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._decoders[name] = (pipe, codecs.getincrementaldecoder("utf-8")("replace"))
        self._reader: Optional[asyncio.StreamReader] = None
        self._writer: Optional[asyncio.StreamWriter] = None

    async def open(self) -> None:
        # A result may be an image: no line is too long.
        self._reader, self._writer = await asyncio.open_connection(sock=self.sockets[0], limit=1 << 30)

    async def send(self, data: bytes) -> None:
        assert self._writer
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise KernelDied() from error

    async def read(self, end: bytes, emit: Optional[Emit]) -> bytes:
        """What it says up to `end`, when the output before that was given to `emit`, or dropped. Throws KernelDied."""
        assert self._reader
        said = asyncio.ensure_future(self._reader.readuntil(end))
        try:
            while not said.done():
                await self._wait(said)
                await self._give(emit)
            # What it wrote before it said this is in the pipes by now.
            await self._give(emit)
            return said.result()[: -len(end)]
        except (asyncio.IncompleteReadError, OSError) as error:
            raise KernelDied() from error
        finally:
            said.cancel()

    async def _wait(self, said: "asyncio.Future[bytes]") -> None:
        """Until there is output, or it has said something."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        pipes = [pipe.fileno() for pipe, _ in self._decoders.values() if not pipe.closed]
        for number in pipes:
            loop.add_reader(number, wake)
        try:
            await asyncio.wait((said, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for number in pipes:
                loop.remove_reader(number)

    async def _give(self, emit: Optional[Emit]) -> None:
        for name, (pipe, decoder) in self._decoders.items():
            while not pipe.closed:
                try:
                    data = os.read(pipe.fileno(), _PIECE)
                except BlockingIOError:
                    break
                if not data:
                    pipe.close()
                text = decoder.decode(data, final=not data)
                if text and emit:
                    await emit(output(name, text))

    def interrupt(self) -> None:
        """As Ctrl+C does: also what it has started and waits for."""
        try:
            os.killpg(self._process.pid, signal.SIGINT)
        except ProcessLookupError:
            pass

    async def stop(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        await asyncio.get_running_loop().run_in_executor(None, self._process.wait)
        if self._writer:
            self._writer.close()
        for ours in self.sockets:
            ours.close()
        for pipe, _ in self._decoders.values():
            pipe.close()
