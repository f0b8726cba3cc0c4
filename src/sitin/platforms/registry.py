"""Which adapter stands for which platform: one line each. For the runner."""

from collections.abc import Callable

from sitin.contract.codes import Platform
from sitin.contract.meeting import MeetingAdapter
from sitin.platforms.meet.adapter import MeetAdapter

ADAPTERS: dict[Platform, Callable[[], MeetingAdapter]] = {
    Platform.MEET: MeetAdapter,
}
