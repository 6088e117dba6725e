"""What a prompt is told: what fits best of all that is remembered, of one owner, within a budget."""

from perdure import Memory


async def live(typed):
    """Have Ada say, know and do things about tea, and return her view."""
    ada = typed.ada
    for number, text in enumerate(("green tea", "black tea", "white coffee")):
        await ada.short_term.add_message("s", "user", text, id=f"m{number}")
    await ada.long_term.add_fact("Ada", "likes", "tea")
    await ada.long_term.add_preference("drinks", "tea")
    await ada.long_term.add_entity("tea", "drink")
    await ada.reasoning.start_trace("s", "make tea")
    if typed.client.buffered.is_buffered:  # which `Memory` needs
        memory = await Memory(client=typed.client).connect()
        await memory.add("I own a tea pot.", infer=False, tenant=typed.tenant, user_id="ada")
        await memory.close()
    return ada


async def test_a_context_has_what_fits_of_every_kind(searched):
    """T2: also what `Memory` keeps; of one owner."""
    ada = await live(searched)
    told = await ada.get_context("tea")
    headings = [line for line in told.splitlines() if line.endswith(":")]
    kept = ["Remembered:"] if searched.client.buffered.is_buffered else []
    assert headings == ["Facts:", "Preferences:", *kept, "People and things:", "Said before:", "Similar tasks:"]
    assert told.count("I own a tea pot.") == len(kept)
    assert await searched.bob.get_context("tea") == ""


async def test_a_context_of_short_term_memory_is_what_was_said(searched):
    """T2: in this conversation and in others, of one owner, and nothing of another kind."""
    ada = await live(searched)
    await ada.short_term.add_message("later", "user", "which tea was it?")
    told = await ada.short_term.get_context("green tea", session_id="later", max_items=1)
    before, _, here = told.partition("\n\n")
    assert [line.rpartition(": ")[2] for line in before.splitlines()] == ["Said before:", "green tea"]
    assert [line.rpartition(": ")[2] for line in here.splitlines()] == ["This conversation:", "which tea was it?"]
    assert len(await ada.short_term.get_context("tea", session_id="later", token_budget=20)) <= 80
    assert await searched.bob.short_term.get_context("tea", session_id="later") == ""


async def test_a_context_has_so_many_items_and_a_conversation_only_once(searched):
    """M5: what is in the conversation below is not among what fits."""
    ada = await live(searched)
    told = await ada.get_context("tea", session_id="s", max_items=3)
    said = told.partition("This conversation:\n")[2].splitlines()
    assert [line.rpartition(": ")[2] for line in said] == ["green tea", "black tea", "white coffee"]
    assert "Said before" not in told
    assert sum(line.startswith("- ") for line in told.splitlines()) == 6


async def test_a_context_keeps_its_budget(searched):
    """M5: a line is cut before another kind is silent."""
    ada = await live(searched)
    for budget in (1, 20, 40, 80):
        assert len(await ada.get_context("tea", session_id="s", token_budget=budget)) <= 4 * budget
