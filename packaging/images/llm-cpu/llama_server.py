#!/usr/bin/python3 -I
"""Serve a language model over HTTP, by the API of OpenAI: `llama-server -m MODEL.gguf`.

The options are those of llama.cpp's own program, as far as they are of use where a site starts it: what
comes in has passed the app proxy, so it listens to all of the container's network and asks for no key.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

MAGIC = b"GGUF"
PORT = 8080
# What the distribution was compiled for: elsewhere it would die of SIGILL, without a word.
NEEDED = ("avx2", "bmi2", "f16c", "fma")
# Tokens that all that is asked at one time may have together. What models were trained for is often more
# than the memory of a session.
CONTEXT = 8192
SLOTS = 4  # requests that are answered at one time


def fail(text: str, hint: str) -> NoReturn:
    """End with status 1."""
    sys.exit(f"llama-server: {text}\nhint: {hint}")


def cores() -> int:
    """Those of the session, which the agent tells; a container sees all of its host."""
    told = os.environ.get("NPROC", "")
    return int(told) if told.isdecimal() and int(told) else len(os.sched_getaffinity(0))


def check_cpu(table: str) -> None:
    """`table`: what is in /proc/cpuinfo."""
    flags = next((row.split() for row in table.splitlines() if row.startswith("flags")), [])
    if missing := [name for name in NEEDED if name not in flags]:
        fail(
            f"this host's CPU has no {', '.join(missing)}",
            "models need a CPU of 2013 (Intel) or 2015 (AMD), or newer",
        )


def found(model: str) -> Path:
    """The file of the model: `model` itself, or the first *.gguf of that folder."""
    path = Path(model or ".")
    if path.is_dir():
        models = sorted(file for file in path.glob("*.gguf") if file.is_file())
        if not models:
            fail(
                f"no *.gguf in {path.absolute()}",
                "put a model of that format into the folder that the service has as its model",
            )
        path = models[0]
    try:
        with path.open("rb") as stream:
            start = stream.read(len(MAGIC))
    except OSError as error:
        fail(f"{path}: {error.strerror}", "name a file, or a folder with one")
    if start != MAGIC:
        fail(f"{path} is not a model in the format GGUF", "is it whole? copy it again")
    return path


def read(argv: list[str]) -> argparse.Namespace:
    """Options, and variables of the environment that llama.cpp has for them: a form sets the latter."""
    parser = argparse.ArgumentParser(
        prog="llama-server", description="Serve a language model by the API of OpenAI."
    )

    def option(*names: str, default: Any = None, text: str, **more: Any) -> None:
        variable = (
            f"LLAMA_ARG_{(more.pop('variable', '') or names[-1][2:]).upper().replace('-', '_')}"
        )
        told = os.environ.get(variable) or default
        parser.add_argument(*names, default=told, help=f"{text}; or {variable}", **more)

    option("-m", "--model", default="", text="a *.gguf, or a folder with one")
    option("-a", "--alias", text="what it is called (its file's name)")
    option("--host", default="0.0.0.0", text="where to listen (%(default)s)")
    option("--port", type=int, default=PORT, text="(%(default)s)")
    option("-t", "--threads", type=int, text="(one for each core of the session)")
    option(
        *("-c", "--ctx-size"),
        type=int,
        default=CONTEXT,
        text="tokens of all requests at a time (%(default)s)",
    )
    option(
        *("-np", "--parallel"),
        type=int,
        default=SLOTS,
        variable="n-parallel",
        text="requests at a time (%(default)s)",
    )
    return parser.parse_args(argv)


def settings(options: argparse.Namespace, model: Path) -> Any:
    """What llama.cpp is told."""
    from xllamacpp import CommonParams  # not to be loaded by a CPU that cannot run it

    wanted = CommonParams()
    wanted.model.path = str(model)
    wanted.model_alias = {options.alias or model.stem}
    wanted.hostnames, wanted.port = [options.host], options.port
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = options.threads or cores()
    wanted.n_ctx, wanted.n_parallel, wanted.kv_unified = options.ctx_size, options.parallel, True
    wanted.cache_ram_mib = 0  # by itself up to 8 GiB, whatever the session has
    # Nobody asked for its page, which would not know the token; slots tell what others asked.
    wanted.ui = wanted.endpoint_slots = False
    return wanted


def main() -> None:
    options = read(sys.argv[1:])
    check_cpu(Path("/proc/cpuinfo").read_text("utf-8"))
    wanted = settings(options, found(options.model))
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # in its threads, too: they end when it does
    from xllamacpp import Server

    try:
        server = Server(wanted)
    except RuntimeError as error:
        fail(
            f"{wanted.model.path} cannot be served at port {wanted.port}: {error}",
            "what llama.cpp wrote above says why",
        )
    print(f"llama-server: ready at {server.listening_address}", flush=True)
    signal.sigwait(ends)


if __name__ == "__main__":
    main()
