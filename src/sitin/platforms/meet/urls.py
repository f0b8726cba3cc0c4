"""Addresses of Google Meet. Read by ``sitin.platforms.urls`` only. Facts of November 2026.

A Workspace nickname (``meet.google.com/our-standup``) is refused: it opens for signed-in members
of its organisation only, and a bot comes as a guest.
"""

import re

from sitin.contract.codes import Platform
from sitin.platforms.addresses import PlatformAddresses, Shape

ADDRESSES = PlatformAddresses(
    platform=Platform.MEET,
    hosts={"meet.google.com": "meet.google.com", "www.meet.google.com": "meet.google.com"},
    shapes=(
        Shape(
            path=re.compile(
                r"/(?:_meet/)?(?P<code>[a-z]{3}-[a-z]{4}-[a-z]{3})/?", re.IGNORECASE | re.ASCII
            ),
            template="https://{host}/{code}",
        ),
    ),
    lower=True,
)
