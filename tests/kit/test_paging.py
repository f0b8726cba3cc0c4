"""Cursors: read back what was written, refuse everything else, lose and double nothing."""

import base64
import contextlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.kit.paging import Cursor, CursorError, Page, page_of, read_time_key, time_key

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.unit

moments = st.integers(0, 4 * 10**15).map(lambda us: EPOCH + timedelta(microseconds=us))


@given(moments, st.uuids(), st.booleans())
def test_a_cursor_reads_back(moment: datetime, row_id: UUID, backwards: bool) -> None:
    cursor = Cursor(time_key(moment, row_id), backwards)
    assert Cursor.decode(cursor.encode()) == cursor
    assert read_time_key(cursor.key) == (moment, row_id)


def test_a_minus_turns_a_cursor_round_wherever_it_stands() -> None:
    text = base64.b64encode(b"key").decode()
    inside = base64.b64encode(f"-{text}".encode()).decode()
    for given_text in (f"-{text}", f"--{text}", inside):
        assert Cursor.decode(given_text) == Cursor("key", backwards=True)


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with contextlib.suppress(CursorError):
        read_time_key(Cursor.decode(text).key)


def read(rows: list[int], cursor: str | None, limit: int) -> Page[int]:
    """A page of numbers, highest first, the way a store reads them."""
    place = Cursor.decode(cursor) if cursor else None
    if place is None:
        found = sorted(rows, reverse=True)
    elif place.backwards:
        found = sorted(row for row in rows if row > int(place.key))
    else:
        found = sorted((row for row in rows if row < int(place.key)), reverse=True)
    return page_of(found[: limit + 1], limit=limit, cursor=place, key=str)


@given(
    st.sets(st.integers(0, 1000), max_size=30),
    st.lists(st.sets(st.integers(0, 1000), max_size=5), max_size=30),
    st.integers(1, 7),
)
def test_nothing_is_lost_or_doubled_while_rows_are_inserted(
    rows: set[int], inserted: list[set[int]], limit: int
) -> None:
    there, cursor = set(rows), None
    seen: list[int] = []
    pending = list(inserted)
    while True:
        page = read(list(there), cursor, limit)
        seen += page.rows
        if page.cursor is None:
            break
        cursor = page.cursor
        there |= pending.pop() if pending else set()
    assert len(seen) == len(set(seen))
    assert rows <= set(seen)
    assert seen == sorted(seen, reverse=True)


@given(st.sets(st.integers(0, 1000), min_size=1, max_size=30), st.integers(1, 7))
def test_the_way_back_is_the_way_there(rows: set[int], limit: int) -> None:
    pages = [read(list(rows), None, limit)]
    while pages[-1].cursor is not None:
        pages.append(read(list(rows), pages[-1].cursor, limit))
    assert pages[0].prev_cursor is None
    for there, back_from in zip(pages[-2::-1], pages[:0:-1], strict=True):
        back = read(list(rows), back_from.prev_cursor, limit)
        assert back.rows == there.rows
    assert [row for page in pages for row in page.rows] == sorted(rows, reverse=True)
