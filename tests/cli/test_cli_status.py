"""`perdure status` says what is in the journals, whoever holds them and whatever state they are in."""


def test_status_says_what_a_killed_agent_left(look, killed_agent, main_journal):
    """J9: how much, since when, for which graph, and what to type next."""
    killed_agent(failing=2, pending=30)
    [state] = look("status", "--json").document["journals"]
    assert (state["name"], state["pending"], state["dead_letters"]) == ("main", 30, 2)
    assert state["held_by"] is None
    assert state["trouble"] is None
    assert state["target"] == "the embedded store"
    assert state["directory"] == str(main_journal)
    assert state["pending_bytes"] > 30
    assert state["oldest"].endswith("+00:00")
    said = look("status").out
    assert "30 writes" in said
    assert "perdure dead-letters list" in said
    assert "perdure journal drain" in said


def test_status_names_the_process_that_holds_a_journal_and_disturbs_nothing(look, living_agent, main_journal):
    """J9: it looks without taking the lock, or anything else."""
    with living_agent(pending=5) as pid:
        before = (main_journal / "lock").read_text()
        [state] = look("status", "--json").document["journals"]
        assert state["held_by"]["pid"] == pid
        assert state["pending"] == 5
        assert f"process {pid}" in look("status").out
        assert (main_journal / "lock").read_text() == before


def test_status_tells_damage_and_where_salvage_has_put_it(look, killed_agent, main_journal):
    """J6: nobody has to wait for the next start to learn of it."""
    killed_agent(pending=30)
    database = main_journal / "journal.db"
    database.write_bytes(b"nothing" + database.read_bytes()[7:])
    [state] = look("status", "--json").document["journals"]
    assert state["trouble"]["code"] == "journal_corrupt"
    assert state["pending"] is None
    said = look("status").out
    assert "its beginning is damaged" in " ".join(said.split())
    assert "perdure journal doctor" in said
    look("journal", "salvage")
    document = look("status", "--json").document
    assert [journal["trouble"] for journal in document["journals"]] == [None]
    assert len(document["kept_aside"]) == 1
    assert document["kept_aside"][0] in look("status").out.replace("\n", "")


def test_status_tells_the_journals_apart(look, killed_agent, monkeypatch):
    """A command to type next names the journal it is for."""
    killed_agent(pending=1)
    monkeypatch.setenv("PERDURE_MEMORY__JOURNAL_NAME", "other")
    monkeypatch.setenv("PERDURE_MEMORY__DURABILITY", "disk")
    killed_agent(pending=2)  # and what the first one left, adopted and committed
    monkeypatch.delenv("PERDURE_MEMORY__JOURNAL_NAME")
    [state] = look("status", "--json").document["journals"]
    assert (state["name"], state["pending"]) == ("other", 2)
    assert "perdure journal drain --journal other" in look("status").out


def test_status_without_journals_says_so(look):
    """An empty place is no error."""
    assert "There are no journals in" in look("status").out
    assert look("status", "--json").document["journals"] == []
