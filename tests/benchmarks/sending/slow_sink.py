"""A server that takes its time for the final dot and nearly no processor: `python slow_sink.py SECONDS`.

Says its port on the first line, and a line per message it accepted, its recipient, when its stdin ends.
"""

from __future__ import annotations

import asyncio
import sys

ANSWERS = {b"EHLO": b"250-sink\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


async def main(latency: float) -> None:
    """Serve until stdin ends."""
    accepted: list[str] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        recipient = ""
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                recipient = line.decode().partition("<")[2].partition(">")[0]
            writer.write(ANSWERS.get(verb, b"250 ok\r\n"))
            if verb == b"DATA":
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(latency)
                accepted.append(recipient)
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                break
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, limit=1_000_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print("\n".join(accepted), flush=True)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
