"""Memory without `await`: a few threads of a program share one object. Runs as it is, without a server."""

from concurrent.futures import ThreadPoolExecutor

from perdure import MemorySettings, SyncMemory

SAID = {
    "ada": ["I moved to Lisbon last month.", "I can't eat nuts, they make me ill."],
    "bob": ["I live in Porto.", "My sister Rita keeps the dog while I travel."],
}


def remember(memory: SyncMemory, user: str) -> int:
    """Add what a user said, and return how many memories that made."""
    return sum(len(memory.add(text, user_id=user).results) for text in SAID[user])


def main() -> None:
    # Nothing on disk. Without `store`: files in ./.perdure.
    with SyncMemory(MemorySettings(store="memory://")) as memory:
        with ThreadPoolExecutor() as threads:
            made = list(threads.map(lambda user: remember(memory, user), SAID))
        print(f"{sum(made)} memories of {len(made)} users.")

        for user in SAID:
            [hit] = memory.search("In which city do I live?", user_id=user, limit=1).results
            print(f"{user}: {hit.memory}")


if __name__ == "__main__":
    main()
