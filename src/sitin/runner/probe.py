"""What a bot's processes get of this machine: ``python -m sitin.runner.probe``. For the doctor.

Run as a bot's runner is run; prints one JSON object.
"""

import json
import sys

from sitin.runner import landlock, system_calls
from sitin.runner.chromium_sandbox import unusable_because


def main() -> None:
    """Prints what there is, and why what is not there is not."""
    found = {
        "sandbox": unusable_because(),
        "landlock": landlock.version(),
        "system_calls": system_calls.available(),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
