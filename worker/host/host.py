#!/usr/bin/env python3
"""The Python host of the worker: the torch that people train with, unmodified.

    ASCERTAIN_WORKER_FD=N python3 worker/host/host.py --device NAME
        [--import MODULE]... [--library PATH]... [--worker PATH/libascertain_worker.so] [--module FILE.py:FUNCTION]

Imports torch and the vendor's packages, loads the worker library and serves the protocol of
docs/protocol.md on the inherited descriptor. The server runs outside the interpreter's lock.
"""

import argparse
import importlib
import json
import os
import pathlib
import socket
import sys

EXIT_REFUSED = 3
LIBRARY = "libascertain_worker.so"


def worker_library():
    """Where the library is when nobody says: named by the environment, beside us, or just built."""
    named = os.environ.get("ASCERTAIN_WORKER_LIBRARY")
    here = pathlib.Path(__file__).resolve().parent
    places = [here / LIBRARY, here.parent.parent / "build/release/worker" / LIBRARY]
    return named or str(next((place for place in places if place.exists()), places[-1]))


def refuse(descriptor, kind, message):
    """Says why there will be no worker, as the first and only line."""
    line = json.dumps({"refused": {"kind": kind, "message": message}}) + "\n"
    with socket.socket(fileno=os.dup(descriptor)) as channel:
        channel.sendall(line.encode())
    sys.exit(EXIT_REFUSED)


def beside(worker, path):
    """A name without a folder is looked for beside the worker first, then where the loader looks."""
    near = pathlib.Path(worker).parent / path
    return str(near) if "/" not in path and near.exists() else path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", default=worker_library(), metavar="PATH",
                        help=f"path of {LIBRARY}")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--import", dest="imports", action="append", default=[], metavar="MODULE",
                        help="a vendor's package, such as torch_npu")
    parser.add_argument("--library", action="append", default=[], metavar="PATH",
                        help="a device plug-in to load")
    parser.add_argument("--module", metavar="FILE.py:FUNCTION",
                        help="the user's own module, and whatever operators its file registers")
    arguments = parser.parse_args()
    text = os.environ.get("ASCERTAIN_WORKER_FD", "")
    if not text.isdigit():
        parser.error("ASCERTAIN_WORKER_FD must hold the number of the inherited socket")
    descriptor = int(text)
    try:
        torch = importlib.import_module("torch")
        for name in arguments.imports:
            importlib.import_module(name)
        for path in [*arguments.library, arguments.worker]:
            torch.ops.load_library(beside(arguments.worker, path))
        serve = torch.ops.ascertain.serve
    except Exception as error:  # whatever a vendor's package raises while it loads
        refuse(descriptor, "library", f"{type(error).__name__}: {error}")
    # What a user's file does wrong is the answer to the first question about it, no refusal.
    kept = importlib.import_module("module").register(arguments.module) if arguments.module else None
    # Vendors' exit handlers are left out: nothing of ours is left to be flushed.
    code = serve(descriptor, arguments.device)
    del kept
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
