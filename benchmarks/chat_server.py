"""A server that answers every chat at once with the same few words, whole or as a stream: `python chat_server.py`.

It prints the port it listens on, and runs until its input ends. It is as quick as it can be, so that what is left of
a wait is the client's own.
"""

import asyncio
import json
import sys

MODEL = {"id": "c", "created": 1, "model": "m"}
WORDS = ["Then ", "you ", "lived ", "in ", "Lisbon."]


def whole() -> bytes:
    """Return a completion."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "".join(WORDS)}}
    body = json.dumps(MODEL | {"object": "chat.completion", "choices": [choice]}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def stream() -> bytes:
    """Return the same as a stream."""
    deltas = [{"content": word} for word in WORDS]
    finishes = [None] * (len(WORDS) - 1) + ["stop"]
    chunks = [
        MODEL | {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        for delta, finish in zip(deltas, finishes, strict=True)
    ]
    events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]
    body = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + body


WHOLE, STREAM = whole(), stream()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            writer.write(STREAM if body.get("stream") else WHOLE)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Serve until the input ends."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
