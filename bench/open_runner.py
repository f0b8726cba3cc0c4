"""The runner of a bot whose browser is free, to compare with: no confinement, no sandbox.

Run by the supervisor in the place of ``python -m sitin.runner``.
"""

import os
import sys

from sitin.runner import __main__ as runner
from sitin.runner import browser, chromium_sandbox

_starting_driver = browser.starting_driver
browser.starting_driver = lambda _confinement=None: _starting_driver()  # type: ignore[assignment]
chromium_sandbox.unusable_because = lambda: "measured without"

# A bot of root has the group that the firewall lets out; what is executed under another group than
# its own is in the loader's secure mode, in which Node.js overlooks the options that keep it small.
os.setegid(os.getgid())

if __name__ == "__main__":
    sys.exit(runner.main())
