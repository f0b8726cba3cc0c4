"""The capture's thread: order, time, failure, a page that sends too much."""

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sitin.contract.meeting import AudioTopology
from sitin.runner.capture.engine import CaptureEngine
from sitin.runner.capture.frames import TabChunk
from sitin.runner.capture.strategy import CaptureSettings, Kind, Surroundings
from sitin.runner.capture.voices import SourceTable
from tests.fakes.capture import FakeCapture

pytestmark = pytest.mark.unit


def _nowhere(_: object) -> None:
    """What it says is nobody's concern."""


class Strategy(FakeCapture):
    """One that a test can hold up, and that can fail."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            CaptureSettings(directory, directory, origin=0.0, kind=Kind.AUDIO, longest=60.0),
            Surroundings(
                SourceTable(AudioTopology.POOLED),
                command=_nowhere,
                heard=_nowhere,
                fall_back=_nowhere,
                people=dict,
            ),
        )
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.ticked = threading.Event()
        self.fails: Exception | None = None
        self.on_take = self._wait

    def tick(self, now: float) -> None:
        super().tick(now)
        self.ticked.set()

    def _wait(self) -> None:
        self.may_go_on.wait()
        if self.fails is not None:
            raise self.fails


Start = Callable[[], tuple[CaptureEngine, Strategy, list[BaseException]]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def begin() -> tuple[CaptureEngine, Strategy, list[BaseException]]:
        made: list[Strategy] = []
        ready = threading.Event()
        failures: list[BaseException] = []

        def build() -> Strategy:
            made.append(Strategy(tmp_path))
            ready.set()
            return made[0]

        engine = CaptureEngine(build, failures.append)
        engine.start()
        assert ready.wait(10)
        return engine, made[0], failures

    return begin


def test_everything_is_taken_in_order_before_the_end(start: Start) -> None:
    engine, strategy, failures = start()
    strategy.may_go_on.clear()
    for number in range(100):
        engine.put([TabChunk(b"%d" % number)])
    strategy.may_go_on.set()
    engine.finish(1234.5)
    assert strategy.taken == [TabChunk(b"%d" % number) for number in range(100)]
    assert strategy.finished == 1234.5
    assert failures == []
    assert engine.lost_batches == 0
    assert strategy.thread is not threading.current_thread()


def test_time_goes_on_while_the_page_is_silent(start: Start) -> None:
    engine, strategy, _ = start()
    before = time.time()
    for _ in range(3):
        assert strategy.ticked.wait(10)
        strategy.ticked.clear()
    engine.finish(0.0)
    assert strategy.ticks == sorted(strategy.ticks)
    assert strategy.ticks[0] >= before


@pytest.mark.parametrize("error", [ValueError("bad"), OSError(errno.ENOSPC, "full")])
def test_a_failure_is_told_once_and_the_end_does_not_hang(start: Start, error: Exception) -> None:
    engine, strategy, failures = start()
    strategy.fails = error
    engine.put([TabChunk(b"x")])
    engine._thread.join(10)
    engine.put([TabChunk(b"y")])
    engine.finish(1.0)
    assert failures == [error]
    assert strategy.finished is None


def test_a_strategy_that_cannot_begin_is_a_failure() -> None:
    failures: list[BaseException] = []

    def build() -> Strategy:
        raise OSError(errno.EACCES, "no")

    engine = CaptureEngine(build, failures.append)
    engine.start()
    engine.finish(1.0)
    assert len(failures) == 1


def test_a_page_that_sends_too_much_is_counted_and_holds_up_nobody(start: Start) -> None:
    engine, strategy, _ = start()
    strategy.may_go_on.clear()
    for _ in range(1000):
        engine.put([TabChunk(b"x")])
    assert 300 < engine.lost_batches < 500
    strategy.may_go_on.set()
    engine.finish(1.0)
    assert len(strategy.taken) == 1000 - engine.lost_batches
