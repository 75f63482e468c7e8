"""A local model behind llama.cpp's OpenAI-compatible server, as a process: it prints its URL."""

from __future__ import annotations

import sys
import threading


def main(path: str) -> None:
    """Serve the model in `path` on a free port of loopback until killed."""
    import xllamacpp

    given = xllamacpp.CommonParams()
    given.model.path = path
    given.hostnames = ["127.0.0.1"]
    given.port = 0
    given.n_ctx = 512
    given.n_parallel = 1
    # Its threads wait by spinning: more of them than idle cores make it slower by far.
    given.cpuparams.n_threads = 1
    given.cpuparams_batch.n_threads = 1
    given.warmup = False
    given.verbosity = 0
    server = xllamacpp.Server(given)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
