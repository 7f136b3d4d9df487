"""The hub ends whatever its requests are at."""

import asyncio

from agent.hub.run import _first


def test_a_wait_that_loses_its_cancellation_to_an_answer_is_cancelled_again() -> None:
    cancelled: list[int] = []

    async def answered_just_then() -> None:
        for number in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(number)
                if number:
                    raise

    async def is_asked_to_end() -> None:
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(_first(is_asked_to_end, answered_just_then), 20))

    assert cancelled == [0, 1]
