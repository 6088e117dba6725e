"""A chat service that answers while memory is written: `uvicorn --app-dir examples chat_service:app`.

It needs `pip install fastapi uvicorn httpx2`. Run as it is, it talks to itself, without a server and without a key.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel

from perdure import Memory, MemorySettings


class Said(BaseModel):
    user_id: str
    text: str


def answer(question: str, known: list[str]) -> str:
    """Stand for a language model; a real one would get both as its prompt."""
    return f"You told me: {known[0]}" if question.endswith("?") and known else "I will remember that."


def service(settings: MemorySettings) -> FastAPI:
    """Return the service. With several workers set `memory.journal_name="auto"`, and use Neo4j."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Memory(settings) as memory:  # at shutdown, SIGTERM too, what was accepted is written down first
            app.state.memory = memory
            yield

    app = FastAPI(lifespan=lifespan)
    app.post("/chat")(chat)
    app.get("/memories/{user_id}")(memories)
    app.delete("/memories/{user_id}")(forget)
    app.get("/health")(health)
    return app


async def memory_of(request: Request) -> Memory:
    return request.app.state.memory


Mine = Annotated[Memory, Depends(memory_of)]


async def chat(said: Said, memory: Mine) -> dict[str, str]:
    found = await memory.search(said.text, user_id=said.user_id, limit=3)
    text = answer(said.text, [hit.memory for hit in found.results])
    turn = [{"role": "user", "content": said.text}, {"role": "assistant", "content": text}]
    await memory.add(turn, user_id=said.user_id, wait="accepted")  # in the journal; the rest happens behind the answer
    return {"text": text}


async def memories(user_id: str, memory: Mine) -> list[str]:
    await memory.flush(timeout=5)  # what was only accepted is to be in the list, too
    return [each.memory for each in (await memory.get_all(user_id=user_id)).results if each.role == "user"]


async def forget(user_id: str, memory: Mine) -> dict[str, int]:
    return {"forgotten": (await memory.delete_all(user_id=user_id)).memories}


async def health(memory: Mine) -> dict[str, Any]:
    found = await memory.client.health()
    return {"reachable": found.reachable, "pending": found.pending, "journal_trouble": found.journal_trouble}


app = service(MemorySettings())  # files in ./.perdure, or what the PERDURE_ variables say

if __name__ == "__main__":
    with TestClient(service(MemorySettings(store="memory://"))) as browser:
        browser.post("/chat", json={"user_id": "ada", "text": "I moved to Lisbon last month."})
        print(browser.get("/memories/ada").json())
        print(browser.post("/chat", json={"user_id": "ada", "text": "Where do I live?"}).json()["text"])
        print(browser.delete("/memories/ada").json(), browser.get("/health").json())
