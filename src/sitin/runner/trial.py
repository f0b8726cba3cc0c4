"""Opens a browser as a bot does, and closes it: ``python -m sitin.runner.trial SPEC PATH``.

Run by the doctor as a bot is run. Exits with 1 and a sentence when the browser does not start.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from sitin.contract.failures import PermanentError
from sitin.contract.spec import BrowserSpec
from sitin.runner.browser import open_browser, starting_driver
from sitin.runner.browser_surroundings import browser_surroundings
from sitin.runner.chromium_sandbox import unusable_because

_NO_PORT = 9
"""The page needs no port here; nothing listens on the port of ``discard``."""


async def _open(spec: BrowserSpec, path: str, *, sandboxed: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="sitin-trial-") as directory:
        os.environ |= {"HOME": directory, "TMPDIR": directory}
        with browser_surroundings(Path(directory), sandboxed=sandboxed) as surroundings:
            async with (
                starting_driver(surroundings.confinement(spec)) as driver,
                open_browser(
                    driver,
                    spec,
                    Path(directory),
                    path=path,
                    direct_port=_NO_PORT,
                    surroundings=surroundings,
                ),
            ):
                pass


def main() -> int:
    """Try one browser."""
    sandboxed = unusable_because() is None
    spec, path = BrowserSpec.model_validate_json(sys.argv[1]), sys.argv[2]
    try:
        asyncio.run(_open(spec, path, sandboxed=sandboxed))
    except PermanentError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
