"""`perdure dead-letters`: writes that failed for good are seen, sent again or let go from the command line."""

import os
import pty
import subprocess
import sys

import pytest
from graphs import mended, notes

ALL = ("dead-letters", "redrive", "--all")


def numbers(look):
    """Return the numbers of the dead letters."""
    return [letter["number"] for letter in look("dead-letters", "list", "--json").document["dead_letters"]]


def test_dead_letters_are_listed_without_the_values_of_their_parameters(look, killed_agent):
    """J11: the statement, the reason, when and how often; a list may end in a log."""
    killed_agent(failing=3)
    document = look("dead-letters", "list", "--json", "--limit", "2").document
    assert document["total"] == 3
    assert len(document["dead_letters"]) == 2
    [first, _] = document["dead_letters"]
    assert first["code"] == "statement_rejected"
    assert first["tries"] == 1
    assert "substring" in first["error"]
    said = look("dead-letters", "list").out
    assert "CREATE (:Note" in said
    assert "user-1" in said
    assert "secret" not in said + look("dead-letters", "list", "--json").out


def test_a_dead_letter_is_shown_whole(look, killed_agent):
    """J11: whoever has to decide about it sees what it would have written."""
    killed_agent(failing=1)
    [number] = numbers(look)
    document = look("dead-letters", "show", str(number), "--json").document
    assert document["parameters"] == {"n": -1, "text": "secret"}
    said = look("dead-letters", "show", str(number)).out
    assert '"text": "secret"' in said
    assert f"perdure dead-letters redrive {number}" in said


def test_dead_letters_are_seen_while_a_process_works(look, living_agent):
    """J11: looking takes nothing from the process that holds the journal."""
    with living_agent(failing=2):
        assert len(numbers(look)) == 2


@pytest.mark.parametrize("verb", [("redrive", "--all"), ("drop", "--all", "--yes")], ids=lambda verb: verb[0])
def test_a_held_journal_is_left_to_the_process_that_holds_it(perdure, look, living_agent, verb):
    """J9: the error names that process, and says what to do in it."""
    with living_agent(failing=1) as pid:
        said = perdure("dead-letters", *verb, code=1)
        assert f"in use by process {pid}" in said.err
        assert f"client.buffered.dead_letters.{verb[0]}()" in said.err
        assert perdure("dead-letters", *verb, "--json", code=1).document["error"]["code"] == "journal_locked"
        assert len(numbers(look)) == 1


async def test_a_dead_letter_that_is_sent_again_is_committed_once(perdure, look, killed_agent):
    """J11: the reason is gone, and the write is in the graph."""
    killed_agent(failing=2, pending=3)
    await mended()
    first, second = numbers(look)
    assert f"{first}" in perdure("dead-letters", "redrive", str(first)).out
    assert numbers(look) == [second]
    document = perdure(*ALL, "--json").document
    assert (document["committed"], document["failed"], document["pending"]) == (1, 0, 0)
    assert document["redriven"][0]["number"] == second
    assert await notes() == [-2, -1, 0, 1, 2]
    assert numbers(look) == []


def test_a_dead_letter_that_fails_again_is_one_again(look, killed_agent):
    """J11: with a new number, one more try, and exit code 1."""
    killed_agent(failing=1)
    [number] = numbers(look)
    [again] = look(*ALL, "--json", code=1).document["redriven"]
    assert (again["number"], again["outcome"]) == (number, "failed")
    assert "substring" in again["error"]
    assert numbers(look) == [again["new_number"]]
    assert look("dead-letters", "show", str(again["new_number"]), "--json").document["tries"] == 2
    assert "failed" in look(*ALL, code=1).out


def test_a_dead_letter_can_be_dropped(look, killed_agent):
    """J11: one by its number, the others with --all, which wants a word more."""
    killed_agent(failing=3)
    first, *others = numbers(look)
    assert look("dead-letters", "drop", str(first)).out == "Dropped 1 dead letter.\n"
    assert numbers(look) == others
    assert "add --yes" in look("dead-letters", "drop", "--all", code=2).err
    assert numbers(look) == others
    assert look("dead-letters", "drop", "--all", "--yes", "--json").document["dropped"] == 2
    assert numbers(look) == []


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0), ("\x04", 130)], ids=["no", "yes", "Ctrl-D"])
def test_a_person_is_asked_before_all_are_dropped(look, killed_agent, answer, code):
    """J11: what is dropped is gone for good."""
    killed_agent(failing=1)
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    command = [sys.executable, "-m", "perdure.cli", "dead-letters", "drop", "--all"]
    done = subprocess.run(command, check=False, stdin=theirs, capture_output=True, text=True, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "Drop all 1 dead letter for good?" in done.stderr
    assert done.returncode == code
    assert ("Nothing was dropped." in done.stderr) is bool(code)
    assert len(numbers(look)) == bool(code)


@pytest.mark.parametrize("verb", ["show", "redrive", "drop"])
def test_a_dead_letter_that_is_not_there_is_an_error(look, killed_agent, verb):
    """Nothing is sent or dropped in its place, nor the others that were named with it."""
    killed_agent(failing=1)
    [number] = numbers(look)
    others = [] if verb == "show" else [str(number)]
    said = look("dead-letters", verb, *others, "99", code=1)
    assert "There is no dead letter 99." in said.err
    assert "perdure dead-letters list" in said.err
    assert numbers(look) == [number]


@pytest.mark.parametrize("arguments", [(), ("--all", "1")], ids=["neither", "both"])
@pytest.mark.parametrize("verb", ["redrive", "drop"])
def test_which_dead_letters_are_meant_has_to_be_said(look, killed_agent, verb, arguments):
    """Wrong use ends with 2."""
    killed_agent(failing=1)
    assert "Give the numbers of dead letters, or --all." in look("dead-letters", verb, *arguments, code=2).err


def test_a_journal_without_dead_letters_says_so(look, killed_agent):
    """And sending all of none again is done."""
    killed_agent(pending=1)
    assert "has no dead letters" in look("dead-letters", "list").out
    assert look("dead-letters", "list", "--json").document["dead_letters"] == []
    assert "There are no dead letters." in look(*ALL).out
