"""A chat in the terminal that remembers you the next time. Needs OPENAI_API_KEY, or OPENAI_BASE_URL of another server.

Run it, say something about yourself, leave with an empty line, and run it again. Memories are kept in ./.perdure.
"""

import os

from perdure.openai import OpenAI

MODEL = os.environ.get("MODEL", "gpt-4o-mini")


def main() -> None:
    messages = [{"role": "system", "content": "You are a friendly companion. Answer in a sentence or two."}]
    with OpenAI() as client:
        while said := read():
            messages.append({"role": "user", "content": said})
            with client.chat.completions.create(
                model=MODEL, messages=messages, user_id="you", agent_id="companion", stream=True
            ) as stream:
                answer = ""
                for chunk in stream:
                    piece = chunk.choices[0].delta.content or ""
                    print(piece, end="", flush=True)
                    answer += piece
            messages.append({"role": "assistant", "content": answer})
            print(f"   [{stream.memory.status}: {len(stream.memory.ids)} memories; {stream.memory.remembered}]")


def read() -> str:
    """Return what is typed; an empty text at the end."""
    try:
        return input("> ").strip()
    except EOFError:
        return ""


if __name__ == "__main__":
    main()
