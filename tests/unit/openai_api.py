"""A server on this machine that speaks enough of OpenAI's API, and goes wrong in the ways that servers do."""

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager

import openai  # noqa: F401  it reads files when it is first imported, which tests watch for

HANG = object()
"""As an answer: none."""


class FakeAPI:
    """Answers chats with `content` and embeds each text as its length and place; `answers` come before that."""

    def __init__(self):
        self.requests = []
        self.answers = deque()
        self.refused_formats = set()
        self.content = "Lisbon."
        self.dimension = 4
        self.url = ""
        self._released = asyncio.Event()

    def fail(self, status, *, message="no", times=1, **headers):
        body = json.dumps({"error": {"message": message, "code": headers.pop("code", None)}})
        self.answers.extend([(status, headers, body)] * times)

    def send(self, body, **headers):
        self.answers.append((200, headers, body if isinstance(body, str) else json.dumps(body)))

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            self._released.set()
            server.close()
            await server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode()
                headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:-2])
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.requests.append((path, headers, body))
                answer = self._answer(path, body)
                if answer is HANG:
                    await self._released.wait()
                    return
                status, extra, text = answer
                lines = [f"HTTP/1.1 {status} -", f"content-length: {len(text.encode())}"]
                lines += [f"{name}: {value}" for name, value in ({"content-type": "application/json"} | extra).items()]
                writer.write(("\r\n".join(lines) + "\r\n\r\n" + text).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, path, body):
        if self.answers:
            return self.answers.popleft()
        asked = body.get("response_format", {}).get("type")
        if asked in self.refused_formats:
            return 400, {}, json.dumps({"error": {"message": f"response_format {asked} is not supported"}})
        answer = self.embeddings(body["input"]) if path.endswith("/embeddings") else chat(self.content)
        return 200, {}, json.dumps(answer)

    def embeddings(self, texts):
        """Vectors in reverse order: their place is in `index`."""
        data = []
        for place, text in enumerate(texts):
            vector = [float(len(text)), float(place), 1.0, 0.5][: self.dimension]
            data.append({"object": "embedding", "index": place, "embedding": vector})
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return {"object": "list", "data": data[::-1], "model": "m", "usage": usage}


def chat(content, finish="stop", **message):
    """Return a chat completion."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, **message},
    }
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
