"""`perdure export` and `import`: memory goes into a file and comes out of it again, whole or not at all."""

import asyncio
import io
import json
import subprocess
import sys

import pytest
from graphs import lived, seen

ADA = ("--user-id", "ada")


@pytest.fixture
def kept(data_dir):
    """Memory of two users, and of nobody."""
    asyncio.run(lived())
    return asyncio.run(seen())


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_backup_is_everybody_and_goes_back(look, kept, tmp_path, monkeypatch):
    """M25: into another store, and again without anything being there twice."""
    backup = tmp_path / "backup.jsonl"
    count = look("export", str(backup), "--all", "--json").document["records"]
    assert len(lines(backup)) == count + 1
    monkeypatch.setenv("PERDURE_DATA_DIR", str(tmp_path / "elsewhere"))
    for _ in range(2):
        assert look("import", str(backup), "--json").document["records"] == count
        assert asyncio.run(seen()) == kept


def test_one_users_memory_is_that_users_alone(look, kept, tmp_path):
    """T9: and can become another's."""
    path = tmp_path / "ada.jsonl"
    assert f"to {path}." in look("export", str(path), *ADA).out.replace("\n", "")
    assert {each.get("user_id") for each in lines(path)[1:]} == {"ada"}
    assert "for user 'eve'" in look("import", str(path), "--user-id", "eve").out.replace("\n", " ")
    after = asyncio.run(seen())
    assert after.pop("eve") == after["ada"]
    assert after == kept


def test_it_goes_through_a_pipe(perdure, kept, tmp_path, monkeypatch):
    """M25: `export - | import -`, with nothing else on standard output."""
    exported = perdure("export", "-", "--all")
    assert json.loads(exported.out.splitlines()[0]) == {"perdure": "memory", "format": 1}
    assert exported.err.startswith("Wrote ")
    monkeypatch.setenv("PERDURE_DATA_DIR", str(tmp_path / "elsewhere"))
    command = [sys.executable, "-m", "perdure", "import", "-"]
    subprocess.run(command, input=exported.out, text=True, check=True, capture_output=True, timeout=60)
    assert asyncio.run(seen()) == kept


def test_a_file_that_is_there_is_left_alone(look, kept, tmp_path):
    """Unless that is asked for."""
    path = tmp_path / "mine.txt"
    path.write_text("my own words")
    said = look("export", str(path), *ADA, code=1)
    assert "is there already" in said.err
    assert "--force" in said.err
    assert path.read_text() == "my own words"
    look("export", str(path), *ADA, "--force")
    assert lines(path)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("export", "x.jsonl"), "Say whose memory to write: --user-id, --tenant, or --all"),
        (("export", "x.jsonl", "--all", *ADA), "Say whose memory to write"),
        (("export", ".", *ADA), "is a directory"),
        (("export", "no/where.jsonl", *ADA), "There is no directory 'no'"),
        (("import", "absent.jsonl"), "There is no file 'absent.jsonl'"),
        (("import", "."), "There is no file '.'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_says_what_would_be_right(look, tmp_path, monkeypatch, command, what):
    """Before anything is read or made."""
    monkeypatch.chdir(tmp_path)
    assert what in look(*command, code=2).err
    assert what in look(*command, "--json", code=2).document["error"]["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda text: text[:-20], "line 5"),
        (lambda text: text.replace('"kind":"message"', '"kind":"massage"', 1), "line"),
        (lambda text: text.replace('"perdure":"memory"', '"perdure":"mammoth"'), "is no export of memory"),
        (lambda text: "", "is no export of memory"),
        (lambda text: "I moved to Lisbon.\n", "is no export of memory"),
        (lambda text: "\x00\x01" * 99, "is no export of memory"),
    ],
)
@pytest.mark.usefixtures("kept")
def test_of_a_damaged_file_nothing_is_imported(look, tmp_path, monkeypatch, damage, what):
    """M25: the line is named; mended, the same command does it."""
    path = tmp_path / "ada.jsonl"
    look("export", str(path), *ADA)
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines()[:5]))
    path.write_text(damage(path.read_text()))
    monkeypatch.setenv("PERDURE_DATA_DIR", str(tmp_path / "elsewhere"))
    said = look("import", str(path), code=2).err
    assert what in said
    assert ("Nothing of the file was imported." in said) is what.startswith("line")
    assert not (tmp_path / "elsewhere").exists(), "no store is made for it"


def test_what_is_no_export_may_be_for_another_command(look, data_dir, tmp_path, monkeypatch):
    """Messages are remembered, and only memory is imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my chat.json").write_text('[{"role": "user", "content": "I live in Porto."}]')
    assert "perdure add - --user-id ID <'my chat.json'" in look("import", "my chat.json", code=2).err


def test_standard_output_takes_one_thing(look):
    """With --json it is one document, and nothing else."""
    assert "not both" in look("export", "-", "--all", "--json", code=2).document["error"]["message"]


def test_standard_input_that_is_no_export_is_refused(look, data_dir, monkeypatch):
    """M25: as a file is."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hello\n")))
    assert look("import", "-", code=2).err.startswith("perdure: Standard input is no export of memory.")
    assert not data_dir.exists()
