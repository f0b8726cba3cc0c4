"""The script that is put before a page's own: the hook, with its worker inside. For the runner."""

import json
from importlib import resources


def _source(name: str) -> str:
    return (resources.files("sitin.runner.capture") / "page" / name).read_text()


def init_script(*, url: str, video: bool, sound: bool) -> str:
    """The hook for documents that connect to ``url``.

    Without ``video`` no picture is received; without ``sound`` the page plays none.
    """
    options = {"worker": _source("worker.js"), "url": url, "video": video, "sound": sound}
    return _source("hook.js").replace("SITIN_OPTIONS", json.dumps(options), 1)
