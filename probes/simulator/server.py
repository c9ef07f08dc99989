"""The server: a listener on loopback, a task per connection, a serving loop per model."""

import errno
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Final

import anyio
from anyio.abc import TaskGroup

from probes.kit.clock import Clock
from probes.simulator.api import Api
from probes.simulator.chat import ApiError
from probes.simulator.exchange import error_answer
from probes.simulator.model import ServingModel
from probes.simulator.scenario import Scenario
from probes.simulator.truth import TruthLog, TruthRecord
from probes.simulator.wire import ClientConnection, RequestError

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 512
_MAX_CONNECTIONS: Final = 2_048
_OUT_OF_FILES: Final = {errno.EMFILE, errno.ENFILE}
_OUT_OF_FILES_WAIT_S: Final = 0.05

_logger = logging.getLogger(__name__)


class SimulatorServer:
    """A provider that is being served; made by `serve`."""

    def __init__(
        self,
        scenario: Scenario,
        listener: socket.socket,
        *,
        clock: Clock,
        random: Random,
        api_key: str | None,
    ) -> None:
        """Prepare the models; each has chances of its own, so that one's traffic does not change
        what befalls another."""
        self.scenario = scenario
        self.port: int = listener.getsockname()[1]
        self.base_url = f"http://{_HOST}:{self.port}"
        """Without `/v1`."""
        self._listener = listener
        self._clock = clock
        self.started_ns = clock.monotonic_ns()
        """What the scenario counts its seconds from."""
        self._truth = TruthLog(self.started_ns)
        self._connections = 0
        self.models = {
            hosted.name: ServingModel(hosted, clock=clock, random=_child(random))
            for hosted in scenario.models
        }
        self._api = Api(
            self.models, self._truth, clock=clock, random=_child(random), api_key=api_key
        )

    def truth(self, since: int = 0) -> tuple[TruthRecord, ...]:
        """Return the records of ended chat requests numbered above `since`, oldest first."""
        return self._truth.page(since).records

    def start(self, group: TaskGroup) -> None:
        """Begin to serve, in tasks of `group`."""
        for model in self.models.values():
            group.start_soon(model.run)
        group.start_soon(self._accept, group)

    async def _accept(self, group: TaskGroup) -> None:
        while True:
            await anyio.wait_readable(self._listener)
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                # The client gave up before we came, or descriptors ran out: neither ends us.
                if error.errno in _OUT_OF_FILES:
                    await self._clock.sleep(_OUT_OF_FILES_WAIT_S)
                continue
            if self._connections >= _MAX_CONNECTIONS:
                sock.close()
            else:
                group.start_soon(self._connection, sock)

    async def _connection(self, sock: socket.socket) -> None:
        self._connections += 1
        try:
            await self._requests(ClientConnection(sock, self._clock))
        except OSError as error:
            _logger.debug("connection lost: %s", error)
        except Exception as error:
            if isinstance(error, ExceptionGroup) and error.split(OSError)[1] is None:
                _logger.debug("connection lost: %s", error)
            else:
                # One bad exchange must not end the server; its client sees the connection close.
                _logger.exception("a connection failed")
        finally:
            self._connections -= 1
            sock.close()

    async def _requests(self, connection: ClientConnection) -> None:
        try:
            while (request := await connection.next_request()) is not None:
                await self._api.handle(connection, request)
                if not connection.recycle():
                    return
        except RequestError as error:
            await error_answer(connection, ApiError(error.status, str(error)))


def _child(random: Random) -> Random:
    return Random(random.getrandbits(64))  # noqa: S311 - repeatable chance, not cryptography


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # On Windows this option would let two servers share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


@asynccontextmanager
async def serve(
    scenario: Scenario, *, clock: Clock, random: Random, port: int = 0, api_key: str | None = None
) -> AsyncIterator[SimulatorServer]:
    """Serve a scenario on 127.0.0.1 while the context is open; port 0 takes a free one.

    Leaving the context ends all connections at once.

    Raises:
        OSError: the port cannot be had.
    """
    failure: Exception | None = None
    with _listen(port) as listener:
        server = SimulatorServer(scenario, listener, clock=clock, random=random, api_key=api_key)
        async with anyio.create_task_group() as group:
            server.start(group)
            try:
                yield server
            except Exception as error:
                # Raised again outside, so that the caller gets it bare and not in a group.
                failure = error
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure
