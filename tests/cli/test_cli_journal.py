"""`perdure journal`: what waits is shown and committed, and what is wrong is found."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from graphs import bytes_of, notes

from perdure.testing import wait_until

INSPECT, DRAIN, DOCTOR = ("journal", "inspect"), ("journal", "drain"), ("journal", "doctor")


def levels(said):
    """Return what doctor thinks of each thing it looked at."""
    return {finding["check"]: finding["level"] for finding in said.document["findings"]}


def test_inspect_shows_what_waits_lane_by_lane(look, killed_agent):
    """J1: what was accepted can be seen before it is committed, in its order."""
    killed_agent(pending=12)
    lanes = look(*INSPECT, "--json", "--limit", "4").document["lanes"]
    assert [(lane["lane"], lane["pending"], len(lane["writes"])) for lane in lanes] == [
        (0, 6, 4),
        (1, 2, 2),
        (2, 2, 2),
        (3, 2, 2),
    ]
    assert [write["number"] for write in lanes[0]["writes"]] == sorted(w["number"] for w in lanes[0]["writes"])
    assert {write["key"] for write in lanes[1]["writes"]} == {"user-1"}
    assert all(write["whole"] for lane in lanes for write in lane["writes"])
    said = look(*INSPECT, "--limit", "4").out
    assert "Lane 0, for writes without a key: 6 writes" in said
    assert "and 2 more" in said


def test_inspect_shows_values_only_when_it_is_asked_to(look, killed_agent):
    """B34: parameters stand in the journal, and come out of it by name only."""
    killed_agent(pending=2)
    assert "secret" not in look(*INSPECT).out + look(*INSPECT, "--json").out
    assert '"text": "secret"' in look(*INSPECT, "--parameters").out
    lanes = look(*INSPECT, "--json", "--parameters").document["lanes"]
    assert lanes[0]["writes"][0]["parameters"] == {"n": 0, "text": "secret"}


def test_inspect_looks_into_a_journal_that_is_held(look, living_agent):
    """It takes nothing from the process that works with it."""
    with living_agent(pending=4):
        assert sum(lane["pending"] for lane in look(*INSPECT, "--json").document["lanes"]) == 4


async def test_drain_commits_what_is_left_exactly_once(perdure, killed_agent):
    """J3: a killed agent need not be started again for that."""
    killed_agent(committed=10, pending=40)
    document = perdure(*DRAIN, "--json").document
    assert document["committed"] + document["already_applied"] >= 40
    assert (document["failed"], document["pending"]) == (0, 0)
    assert "Nothing was left to commit." in perdure(*DRAIN).out
    assert await notes() == list(range(50))


async def test_drain_keeps_what_it_has_no_time_for(look, killed_agent):
    """B11: and ends with 1."""
    killed_agent(pending=300)
    said = look(*DRAIN, "--timeout", "0", code=1)
    assert "stay in the journal" in said.out
    assert "Committed" in look(*DRAIN).out
    assert await notes() == list(range(300))


def test_drain_reports_what_fails_for_good(look, killed_agent):
    """B25: it is a dead letter then, and the exit code says 1."""
    killed_agent(pending=3, doomed=1)
    document = look(*DRAIN, "--json", code=1).document
    assert (document["failed"], document["committed"]) == (1, 3)
    assert look("dead-letters", "list", "--json").document["total"] == 1


def test_drain_leaves_a_held_journal_to_its_holder(look, living_agent):
    """J9: which drains it anyway."""
    with living_agent(pending=1) as pid:
        said = look(*DRAIN, code=1)
        assert f"in use by process {pid}" in said.err
        assert "That process commits them itself" in said.err


@pytest.mark.slow
async def test_drain_can_be_interrupted(perdure, killed_agent, data_dir, main_journal):
    """B16: Ctrl-C ends it within seconds, and loses nothing."""
    killed_agent(pending=20_000)
    lock = main_journal / "lock"
    before = lock.read_text()
    command = [sys.executable, "-m", "perdure.cli", *DRAIN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as drain:  # noqa: ASYNC220
        await wait_until(lambda: lock.read_text() != before, 60.0)
        drain.send_signal(signal.SIGINT)
        _, err = drain.communicate(timeout=30)
    assert drain.returncode == 130
    assert "What is not committed stays in the journal." in err
    assert "Traceback" not in err
    perdure(*DRAIN)
    assert await notes() == list(range(20_000))


# -- doctor


def test_doctor_finds_nothing_wrong_with_a_killed_agents_journal(look, killed_agent, main_journal):
    """J6: a crash is no damage; and looking changes nothing."""
    killed_agent(pending=30)
    before = bytes_of(main_journal)
    found = levels(look(*DOCTOR, "--json"))
    assert set(found.values()) == {"good"}
    assert {"lock", "file system", "permissions", "space", "reserve", "log", "format", "pages", "writes"} <= set(found)
    assert "Nothing needs to be done." in look(*DOCTOR).out
    assert bytes_of(main_journal) == before


def test_doctor_looks_at_a_journal_that_is_held(look, living_agent, main_journal):
    """J9: it names the holder, and leaves it alone."""
    with living_agent(pending=30) as pid:
        before = (main_journal / "lock").read_text()
        assert f"process {pid}" in look(*DOCTOR).out
        assert (main_journal / "lock").read_text() == before


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE entries SET parameters = '{}' WHERE seq = 9", "writes"),
        ("DELETE FROM entries WHERE seq = 9", "writes"),
        ("UPDATE dead_letters SET statement = 'CREATE (:Other)'", "dead letters"),
        ("UPDATE lanes SET settled = settled + 1", "facts"),
    ],
    ids=["a changed write", "a missing write", "a changed dead letter", "a changed lane"],
)
def test_doctor_finds_damage_and_says_what_to_type(look, killed_agent, main_journal, statement, check):
    """J6: exit code 1, and the way out."""
    killed_agent(failing=1, pending=30)
    with closing(sqlite3.connect(main_journal / "journal.db")) as database, database:
        database.execute(statement)
    said = look(*DOCTOR, "--json", code=1)
    assert said.document["damaged"] is True
    assert levels(said)[check] == "bad"
    assert f"{check}: perdure journal salvage" in look(*DOCTOR, code=1).out


def test_doctor_finds_a_damaged_log_and_a_damaged_beginning(look, killed_agent, main_journal):
    """J6: what SQLite would pass over, or would not open at all."""
    killed_agent(pending=60)
    log, database = main_journal / "journal.db-wal", main_journal / "journal.db"
    data = bytearray(log.read_bytes())
    data[9000] ^= 1
    log.write_bytes(data)
    assert levels(look(*DOCTOR, "--json", code=1))["log"] == "bad"
    database.write_bytes(bytes(100) + database.read_bytes()[100:])
    assert "perdure journal salvage" in look(*DOCTOR, code=1).out


def test_a_journal_of_a_newer_version_is_left_to_it(look, killed_agent, main_journal):
    """J10: neither opened nor salvaged; the way out is named."""
    killed_agent(pending=3)
    with closing(sqlite3.connect(main_journal / "journal.db")) as database:
        database.execute("PRAGMA user_version = 99")
    before = bytes_of(main_journal) | {"lock": b""}
    for command in (DRAIN, ("journal", "salvage")):
        said = look(*command, code=1)
        assert "has format 99" in said.err
        assert "Upgrade Perdure" in said.err
    assert "Upgrade Perdure" in look(*DOCTOR, code=1).out
    assert look("status", "--json").document["journals"][0]["trouble"]["code"] == "journal"
    assert bytes_of(main_journal) | {"lock": b""} == before


def test_doctor_warns_of_what_is_not_damage(look, killed_agent, main_journal):
    """Eyes that may look in, and a reserve that is used up; exit code 0."""
    killed_agent(failing=1, pending=1)
    (main_journal / "journal.db").chmod(0o644)
    (main_journal / "ballast").unlink()
    found = levels(look(*DOCTOR, "--json"))
    assert {check for check, level in found.items() if level == "warning"} == {"permissions", "reserve", "dead letters"}
    assert "chmod -R go= " in look(*DOCTOR).out


def test_a_journal_that_is_not_there_is_named_with_those_that_are(look, killed_agent):
    """A slip of the pen is no empty journal."""
    killed_agent(pending=1)
    for command in (INSPECT, DRAIN, DOCTOR, ("journal", "salvage"), ("dead-letters", "list")):
        said = look(*command, "--journal", "mian", code=1)
        assert "There is no journal 'mian'" in said.err
        assert "There are main" in said.err


def test_the_one_automatic_journal_is_found(look, killed_agent, monkeypatch):
    """`auto` stands for its name where there is only one."""
    monkeypatch.setenv("PERDURE_MEMORY__JOURNAL_NAME", "auto")
    killed_agent(pending=2)
    assert look(*INSPECT, "--json").document["journal"] == "auto-1"
    assert "perdure journal drain --journal auto-1" in look("status").out


def test_a_journal_in_another_place_is_found(look, killed_agent, data_dir, monkeypatch):
    """--data-dir goes before the environment."""
    killed_agent(pending=2)
    monkeypatch.setenv("PERDURE_DATA_DIR", os.devnull)
    assert look("status", "--data-dir", str(data_dir), "--json").document["journals"][0]["pending"] == 2
