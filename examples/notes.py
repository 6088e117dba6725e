"""Notes that are found again, as a script: `notes.py "I parked on level 3."`, and later `notes.py "Where is my car?"`.

It needs no event loop, no server and no key. Without words it shows how, and keeps nothing.
"""

import sys

from perdure import MemorySettings, SyncMemory

SHOWN = ["The boiler's number is 4711.", "Rita is allergic to nuts.", "Which guest may not eat walnuts?"]


def take(memory: SyncMemory, text: str) -> str:
    """Answer a question, or remember what is none."""
    if not text.endswith("?"):
        [kept] = memory.add(text, user_id="me").results
        return f"{kept.event}: {kept.memory}"
    for hit in memory.search(text, user_id="me", limit=1).results:
        return f"{hit.memory} ({hit.observed_at:%d %B %Y})"
    return "I know nothing of that."


def main() -> None:
    words = " ".join(sys.argv[1:])
    with SyncMemory(MemorySettings() if words else MemorySettings(store="memory://")) as memory:
        for text in [words] if words else SHOWN:
            print(f"> {text}\n{take(memory, text)}")


if __name__ == "__main__":
    main()
