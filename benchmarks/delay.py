"""A TCP proxy that hands each of the server's answers on a fixed while late."""

from __future__ import annotations

import asyncio
import sys


async def _late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    pending: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def hand_on() -> None:
        while True:
            at, chunk = await pending.get()
            await asyncio.sleep(max(0.0, at - loop.time()))
            writer.write(chunk)
            if not chunk:
                writer.close()
                return
            await writer.drain()

    task = loop.create_task(hand_on())
    while chunk := await reader.read(65536):
        pending.put_nowait((loop.time() + seconds, chunk))
    pending.put_nowait((loop.time(), b""))
    await task


async def _serve(listen: int, target: int, seconds: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(
            _late(reader, server_writer, 0), _late(server_reader, writer, seconds), return_exceptions=True
        )

    server = await asyncio.start_server(connected, "127.0.0.1", listen)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
