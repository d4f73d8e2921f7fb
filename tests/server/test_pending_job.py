"""Work for a client that goes away ends, and leaves no error that nobody reads."""

import asyncio
import gc

import pytest

pytest.importorskip("fastapi", reason="the server is not installed (extra serve)")

from unitok.server.http.errors import invalid
from unitok.server.pending_job import Disconnected, unless_disconnected


def test_an_error_of_work_that_nobody_waits_for_is_not_logged():
    logged = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise invalid("too late") from None  # as where the news of a failure comes together with the end

    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
        with pytest.raises(Disconnected):
            await unless_disconnected(receive, work())
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(main())
    gc.collect()
    assert logged == []
