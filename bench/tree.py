"""CPU time and memory of a process and all its descendants, read from /proc."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Usage:
    """What a tree of processes has used between two moments."""

    cpu_seconds: float
    wall_seconds: float

    @property
    def per_minute(self) -> float:
        """CPU-seconds per minute."""
        return self.cpu_seconds * 60 / self.wall_seconds


class Tree:
    """Samples a tree once a second on a thread of its own; a process that ends keeps its count."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._cpu: dict[tuple[int, float], float] = {}
        self.peak_pss = 0
        """Bytes: the most that was seen, each shared page counted by its share."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cpu(self) -> float:
        """CPU-seconds of all processes so far."""
        self._sample()
        return sum(self._cpu.values())

    def measure(self) -> Callable[[], Usage]:
        """Measure from now until the result is called."""
        cpu, wall = self.cpu(), time.monotonic()
        return lambda: Usage(self.cpu() - cpu, time.monotonic() - wall)

    def close(self) -> None:
        """Stop sampling."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            self._sample()
            self.peak_pss = max(self.peak_pss, self.pss())

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [self._root, *self._root.children(recursive=True)]
        return []

    def _sample(self) -> None:
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._cpu[(process.pid, process.create_time())] = times.user + times.system

    def pss(self) -> int:
        """Bytes of all processes now, each shared page counted by its share."""
        total = 0
        for process in self._family():
            with suppress(OSError, StopIteration):
                lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
                line = next(one for one in lines if one.startswith("Pss:"))
                total += int(line.split()[1]) * 1024
        return total
