"""A server on this machine that speaks OpenAI's chat and response APIs, streams too, and goes wrong where it is told.

It runs in threads, so that synchronous clients, asynchronous ones and other processes can use it.
"""

import json
import os
import subprocess
import sys
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Event, Thread

import perdure

SECONDS_TO_WAIT = 30


@dataclass
class Reply:
    """What one request is answered with."""

    pieces: tuple[str, ...] = ("Lis", "bon.")
    tool_calls: tuple[dict, ...] = ()
    refusal: str | None = None
    finish: str = "stop"
    status: int = 200
    error: dict | None = None
    headers: dict = field(default_factory=dict)
    cut_at: int | None = None
    """Before which event of a stream the connection is closed."""
    error_at: int | None = None
    """Before which event of a stream an error stands."""
    held_at: int | None = None
    """Before which event of a stream it waits for `released`."""
    released: Event = field(default_factory=Event)

    @property
    def text(self):
        return "".join(self.pieces)


class ChatAPI:
    """Answers with the `replies` in their order, and then with `default`; what it was asked is in `requests`."""

    def __init__(self):
        self.requests = []
        self.replies = deque()
        self.default = Reply()
        self.url = ""

    def reply(self, *pieces, **how):
        self.replies.append(Reply(pieces, **how))
        return self.replies[-1]

    def fail(self, status, *, times=1, code=None, **headers):
        error = {"message": "no", "type": "t", "code": code, "param": None}
        self.replies.extend([Reply(status=status, error=error, headers=headers)] * times)

    @property
    def bodies(self):
        return [body for _, _, body in self.requests]

    def prompt(self, number=-1):
        """Return what a request's last message of the user says, parts joined."""
        body = self.bodies[number]
        messages = body.get("messages", body.get("input"))
        if isinstance(messages, str):
            return messages
        content = next(m["content"] for m in reversed(messages) if m.get("role") == "user")
        return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)

    @contextmanager
    def running(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.api = self
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def serving(program):
    """Run a server for a program that chats; yield the variables by which the official client finds it."""
    if "perdure.openai" not in program:
        yield {}
        return
    with ChatAPI().running() as api:
        yield {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": api.url}


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the `api` of its server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        api = self.server.api
        api.requests.append((self.path, headers, body))
        reply = api.replies.popleft() if api.replies else api.default
        speak = respond if self.path.endswith("/responses") else complete
        try:
            if reply.status != 200:
                self._send_json(reply, {"error": reply.error})
            elif body.get("stream"):
                self._stream(reply, speak.events(reply, body))
            else:
                self._send_json(reply, speak.whole(reply, body))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _head(self, reply, **headers):
        self.send_response(reply.status)
        for name, value in (headers | reply.headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _send_json(self, reply, body):
        data = json.dumps(body).encode()
        self._head(reply, content_type="application/json", x_request_id="req_1", content_length=str(len(data)))
        self.wfile.write(data)

    def _stream(self, reply, events):
        self._head(reply, content_type="text/event-stream", transfer_encoding="chunked")
        for number, event in enumerate(events):
            if number == reply.cut_at:
                self.close_connection = True
                self.connection.close()
                return
            if number == reply.held_at:
                reply.released.wait(SECONDS_TO_WAIT)
            if number == reply.error_at:
                self._chunk({"error": {"message": "overloaded", "code": "server_error"}})
            self._chunk(event)
        self._chunk("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _chunk(self, event):
        kind = f"event: {event['type']}\n" if "type" in event else ""
        data = event if isinstance(event, str) else json.dumps(event)
        text = f"{kind}data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def finish(self):
        with suppress(BrokenPipeError, ConnectionResetError):
            super().finish()

    def log_message(self, *_args):
        pass


class complete:  # noqa: N801  the verb of the API
    """Chat completions."""

    @staticmethod
    def whole(reply, body):
        message = {"role": "assistant", "content": reply.text or None, "refusal": reply.refusal}
        if reply.tool_calls:
            message["tool_calls"] = list(reply.tool_calls)
        choices = [
            {"index": n, "finish_reason": reply.finish, "logprobs": None, "message": message if n == 0 else other(n)}
            for n in range(body.get("n") or 1)
        ]
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        made = {"id": "c1", "object": "chat.completion", "created": 1, "model": body["model"]}
        return made | {"choices": choices, "usage": usage, "of_the_servers_own": {"kept": True}}

    @staticmethod
    def events(reply, body):
        made = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}

        def chunk(finish=None, index=0, **delta):
            return made | {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

        yield chunk(role="assistant", content="")
        for piece in reply.pieces:
            yield chunk(content=piece)
            if (body.get("n") or 1) > 1:
                yield chunk(index=1, content="else ")
        if reply.refusal:
            yield chunk(refusal=reply.refusal)
        for number, call in enumerate(reply.tool_calls):
            first = {"index": number, "id": call["id"], "type": "function"}
            yield chunk(tool_calls=[first | {"function": {"name": call["function"]["name"], "arguments": ""}}])
            for part in call["function"]["arguments"]:
                yield chunk(tool_calls=[{"index": number, "function": {"arguments": part}}])
        yield chunk(reply.finish)
        if (body.get("stream_options") or {}).get("include_usage"):
            yield made | {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}


def other(number):
    return {"role": "assistant", "content": f"choice {number}"}


class respond:  # noqa: N801  the verb of the API
    """Responses."""

    @staticmethod
    def whole(reply, body, status=None, *, empty=False):
        output = [
            {"type": "function_call", "id": "f1", "call_id": call["id"], "status": "completed", **call["function"]}
            for call in reply.tool_calls
        ]
        if (reply.pieces or reply.refusal) and not empty:
            output.append(respond.message([respond.part(reply)], "completed"))
        status = status or ("completed" if reply.finish == "stop" else "incomplete")
        made = {"id": "r1", "object": "response", "created_at": 1, "model": body["model"], "status": status}
        made |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "metadata": {}}
        return made | {"incomplete_details": None, "instructions": body.get("instructions"), "output": output}

    @staticmethod
    def message(content, status):
        return {"type": "message", "id": "m1", "role": "assistant", "status": status, "content": content}

    @staticmethod
    def part(reply):
        if reply.refusal:
            return {"type": "refusal", "refusal": reply.refusal}
        return {"type": "output_text", "text": reply.text, "annotations": []}

    @staticmethod
    def events(reply, body):
        numbers = count()

        def event(kind, **fields):
            return {"type": f"response.{kind}", "sequence_number": next(numbers), **fields}

        place = {"output_index": 0, "item_id": "m1", "content_index": 0}
        started = respond.whole(reply, body, "in_progress", empty=True)
        yield event("created", response=started)
        yield event("output_item.added", output_index=0, item=respond.message([], "in_progress"))
        blank = {"type": "output_text", "text": "", "annotations": []}
        yield event("content_part.added", **place, part=blank)
        for piece in reply.pieces:
            yield event("output_text.delta", **place, delta=piece, logprobs=[])
        yield event("output_text.done", **place, text=reply.text, logprobs=[])
        yield event("content_part.done", **place, part=respond.part(reply))
        yield event("output_item.done", output_index=0, item=respond.message([respond.part(reply)], "completed"))
        whole = respond.whole(reply, body)
        yield event("completed" if whole["status"] == "completed" else "incomplete", response=whole)


def run_program(program, api, where):
    """Run a program, whose chat clients ask `api`, in a folder of its own."""
    environment = {**os.environ, "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": api.url}
    environment["PYTHONPATH"] = str(Path(perdure.__file__).parents[1])
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=where, env=environment, timeout=60, check=True, capture_output=True, text=True)


def tool_call(name="look_up", **arguments):
    """Return a call of a tool, as the chat API has it."""
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
