"""An S3 server in this process that fails now and then: moto behind a layer of faults."""

from __future__ import annotations

import logging
import random
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",  # what the client would mend by itself is ours to mend
}
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>"


class Store:
    """A server with one bucket, `bucket`.

    Attributes:
        faults: share of requests that fail: a third with 503, a third before they are done with a
            dropped connection, a third after they are done.
        failed: how many did.
    """

    def __init__(self) -> None:
        self.faults, self.failed = 0.0, 0
        self._dice = random.Random(0)
        self._moto = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if self._dice.random() >= self.faults:
            return self._moto(request, start)
        self.failed += 1
        kind = self.failed % 3
        if kind == 0:
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [_SLOW_DOWN]
        if kind == 1:  # it is done, and nobody is told
            for _ in self._moto(request, lambda *_: None):
                pass
        request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        start("200 OK", [])
        return []
