"""What is looked up in the event loop's own thread is done a few at a time, and costs the same however large a broadcast is."""

import asyncio
from collections.abc import Sequence

from mailgate.core.relay import Copy
from mailgate.journeys.ports import Unmakeable
from tests.builders import TEACHER, Town, staff_mail

LETTERS = 100


async def test_a_batch_of_single_letters_is_written_with_pauses_in_which_the_loop_does_other_things(town: Town) -> None:
    for number in range(LETTERS):
        await town.post(f"g{number}@docomo.ne.jp", "touroku")
    rows = await town.claimed()
    assert len(rows) == LETTERS
    turns = 0
    sizes: list[int] = []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def give(made: Sequence[Copy | Unmakeable]) -> None:
        if not sizes:
            sizes.append(turns)
        sizes.append(len(made))

    beside = asyncio.create_task(others())
    await town.writing.write(rows, give)
    beside.cancel()
    turns_before_the_first, *slices = sizes
    assert sum(slices) == LETTERS
    assert max(slices) <= 16
    assert turns_before_the_first >= LETTERS // 16 - 1


async def test_a_preview_that_is_written_late_counts_nothing_in_the_loop(town: Town) -> None:
    """By then its broadcast may have a row for everybody in the city."""
    await town.a_school()
    await town.a_contact("a..b@docomo.ne.jp")
    await town.enrolled()
    await town.post(TEACHER, "haishin+kita-es", content=staff_mail(TEACHER))
    rows = await town.claimed()
    said: list[str] = []
    for reader in town.db._all_readers:
        await reader.thread.set_trace_callback(said.append)
    (preview,) = await town.written(rows)
    assert isinstance(preview, Copy)
    assert said
    assert [sql for sql in said if "COUNT(" in sql] == []
