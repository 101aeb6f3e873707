"""Has an agent make its volume of runtime files anew when making it was cut off.

Upstream takes a volume that is there for whole, and its extractor goes on where tar failed: after a kill or
a full disk no session of this node would start any more. The extractor writes the volume's version last.
"""

from __future__ import annotations

import asyncio
import logging
import time

from backendai_serve.patches import exchanged

MODULE = "ai.backend.agent.docker.kernel"
log = logging.getLogger(__name__)
_HOME = "/root"  # in the extractor's image
_PATIENCE = 120  # seconds; a start may take 180
_ABSENT = 1  # status of cat; above 124 the engine speaks, which is no word about the volume


async def is_whole(volume: str, image: str, version: int) -> bool:
    """Whether a volume that is there holds all of this version; also if the engine does not say.

    What an agent that was killed began to extract goes on without it, and is waited for.
    """
    busy = ("ps", "--quiet", f"--filter=volume={volume}", f"--filter=ancestor={image}")
    until = time.monotonic() + _PATIENCE
    while (await _docker(*busy))[1] and time.monotonic() < until:
        await asyncio.sleep(1)
    mounted = ("run", "--rm", "--network=none", "-v", f"{volume}:/mnt:ro", image)
    status, said = await _docker(*mounted, "/bin/cat", "/mnt/VERSION")
    whole = status not in (0, _ABSENT) or said == str(version)
    if not whole:
        log.warning("volume %s is half-made, it is filled anew", volume)
    return whole


async def _docker(*words: str) -> tuple[int | None, str]:
    """Status and output of a command of Docker's."""
    process = await asyncio.create_subprocess_exec("docker", *words, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return process.returncode, said.decode("utf-8", "replace").strip()


def checked(text: str) -> str:
    """The source with that question, and an extractor that ends where it fails."""
    text = exchanged(
        MODULE,
        text,
        "                do_create = True\n        if do_create:\n",
        "                do_create = True\n        else:\n"
        "            from backendai_serve.krunner import is_whole\n"
        "            do_create = not await is_whole(volume_name, extractor_image, current_version)\n"
        "        if do_create:\n",
    )
    script = f'"{_HOME}/krunner-extractor.sh",\n                ])'
    return exchanged(MODULE, text, script, f'"/bin/sh", "-e", {script}')


SOURCES = {MODULE: checked}
