#!/usr/bin/env python3
"""Speaks the worker protocol by hand (docs/protocol.md), for developers.

    tools/ask_worker.py BUILD_DIR describe
    tools/ask_worker.py --python BUILD_DIR replay '{"case": {...}, "seed": 1}'
    tools/ask_worker.py BUILD_DIR capture @params.json --device cpu

Prints every answer as one line of JSON; the exit code is 0 when it was a result.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys


class Worker:
    """One worker process and our end of its socket."""

    def __init__(self, build, device="cpu", host="executable", libraries=(), python=sys.executable):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        environment = dict(os.environ, ASCERTAIN_WORKER_FD=str(theirs.fileno()),
                           OMP_WAIT_POLICY="passive")
        folder = pathlib.Path(build) / "worker"
        if host == "executable":
            command = [str(folder / "ascertain-worker")]
        else:
            script = pathlib.Path(__file__).resolve().parent.parent / "worker/host/host.py"
            command = [python, str(script), "--worker",
                       str(folder / "libascertain_worker.so")]
        command += ["--device", device]
        for library in libraries:
            command += ["--library", library]
        self.process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        theirs.close()
        self.stream = ours.makefile("rwb")
        self.socket = ours
        self.last_id = 0
        self.hello = self.read()

    def read(self):
        """The next message that is no heartbeat; None when the worker has closed."""
        while line := self.stream.readline():
            message = json.loads(line)
            if "heartbeat" not in message:
                return message
        return None

    def ask(self, request, params=None, on_progress=None, deadline_s=600.0):
        """Sends one request and waits for its answer."""
        self.last_id += 1
        message = {"id": self.last_id, "request": request, "deadline_s": deadline_s,
                   "params": params or {}}
        self.stream.write(json.dumps(message).encode() + b"\n")
        self.stream.flush()
        while answer := self.read():
            if "progress" not in answer:
                return answer
            if on_progress:
                on_progress(answer["progress"])
        return None

    def close(self):
        self.stream.close()
        self.socket.close()
        return self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="build folder, such as build/release")
    parser.add_argument("request")
    parser.add_argument("params", nargs="?", default="{}", help="JSON, or @FILE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--library", action="append", default=[])
    parser.add_argument("--python", action="store_true", help="use the Python host")
    arguments = parser.parse_args()
    text = arguments.params
    if text.startswith("@"):
        text = pathlib.Path(text[1:]).read_text()
    worker = Worker(arguments.build, arguments.device,
                    "python" if arguments.python else "executable", arguments.library)
    print(json.dumps(worker.hello))
    if not worker.hello or "hello" not in worker.hello:
        return 1
    answer = worker.ask(arguments.request, json.loads(text),
                        lambda progress: print(json.dumps(progress), file=sys.stderr))
    print(json.dumps(answer))
    worker.close()
    return 0 if answer and "result" in answer else 1


if __name__ == "__main__":
    sys.exit(main())
