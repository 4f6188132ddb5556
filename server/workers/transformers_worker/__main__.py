"""Run the worker: load the checkpoint, then serve it on the socket until SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import sys

from bitloom.errors import BitloomError
from server.workers.arguments import parse_arguments
from server.workers.lifetime import die_with_gateway
from server.workers.memory import release_freed

KEEP_ALIVE_S = 600
DRAIN_S = 5


def main() -> None:
    """Serve until SIGTERM."""
    arguments = parse_arguments()
    die_with_gateway()
    # uvicorn raises the signal again when it has drained: that must not make it an unclean end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.umask(0o077)
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch: huge pages for tensors of 2 MiB and more
    arguments.socket.unlink(missing_ok=True)
    import uvicorn

    from server.workers.transformers_worker.app import create_app
    from server.workers.transformers_worker.engine import Engine
    from server.workers.transformers_worker.loading import load_model

    try:
        loaded = load_model(arguments.model, arguments.options)
    except BitloomError as exc:
        sys.exit(f"worker: {exc}")
    release_freed()
    engine = Engine(loaded, arguments.options)
    app = create_app(arguments.name, engine)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:  # uvicorn's own would be mode 0666
        listener.bind(str(arguments.socket))
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
