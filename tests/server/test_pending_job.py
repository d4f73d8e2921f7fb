"""Work for a disconnected client is cancelled and leaves no unretrieved error."""

import asyncio
import gc

import pytest

pytest.importorskip("fastapi", reason="the server is not installed (extra serve)")

from unitok.server.http.errors import invalid
from unitok.server.pending_job import Disconnected, unless_disconnected


def test_late_errors_of_cancelled_work_are_not_logged():
    logged = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise invalid("too late") from None  # as if the job failed just then

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
