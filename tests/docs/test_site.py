"""The pages make a site: strictly built, complete, and with nothing fetched from elsewhere."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec

import pytest
from pages import ROOT, blocks, name_of

import docs_site
import perdure

REFERENCE = ROOT / "docs" / "reference" / "python"
_ELSEWHERE = re.compile(r"""<(?:script|img|link)[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>|@import|url\(["']?http""")


def in_navigation(entry):
    """Yield the pages of a part of the navigation."""
    match entry:
        case str():
            yield entry
        case dict():
            yield from (page for part in entry.values() for page in in_navigation(part))
        case _:
            yield from (page for part in entry for page in in_navigation(part))


def documented():
    """Yield every name that the Python reference shows."""
    for page in REFERENCE.glob("*.md"):
        yield from re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_page_has_its_line_in_the_navigation():
    config = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    listed = list(in_navigation(config["project"]["nav"]))
    there = {str(docs_site.place(page)) for page in docs_site.pages() if page.parent.name != "decisions"}
    assert set(listed) == there, "add a line for the page to `nav` in zensical.toml, or take one away"
    assert len(listed) == len(set(listed))


def test_every_public_name_stands_in_the_python_reference():
    names = list(documented())
    assert {f"perdure.{name}" for name in perdure.__all__} - set(names) == set()
    assert len(names) == len(set(names))


def test_a_link_to_what_is_not_there_is_said_with_its_page():
    page = ROOT / "README.md"
    with pytest.raises(docs_site.BrokenLinkError, match=r"README\.md links to docs/nowhere\.md"):
        docs_site._target(page, "docs/nowhere.md")


def test_a_file_that_is_no_page_is_shown_on_one():
    path = ROOT / "examples" / "remembering.py"
    assert str(docs_site.place(path)) == "examples/remembering.py.md"
    assert path.read_text(encoding="utf-8").rstrip() in docs_site.shown(path)


def test_the_house_in_contributing_is_the_one_that_the_linter_holds():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [layer.replace("perdure.", "").split(" : ") for layer in contracts[0]["layers"]]
    drawn = next(block for block in blocks(ROOT / "CONTRIBUTING.md") if block.text.startswith("cli "))
    assert [sorted(line.split("  ")[0].split()) for line in drawn.text.splitlines()] == [
        sorted(each) for each in layers
    ]


def build(root):
    """Build the site of a directory that looks like the repository."""
    if None in map(find_spec, ("zensical", "mkdocstrings")):
        pytest.skip("the site needs `pip install --group docs`")
    shutil.copytree(ROOT / "tools", root / "tools")
    command = [sys.executable, root / "tools" / "docs_site.py"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.slow
def test_the_site_is_built_strictly_and_fetches_nothing_from_elsewhere(tmp_path):
    for page in [*docs_site.pages(), ROOT / "zensical.toml", ROOT / "LICENSE"]:
        (tmp_path / name_of(page)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, tmp_path / name_of(page))
    shutil.copytree(ROOT / "docs", tmp_path / "docs", dirs_exist_ok=True)
    shutil.copytree(ROOT / "examples", tmp_path / "examples", dirs_exist_ok=True)
    (tmp_path / "src").symlink_to(ROOT / "src")
    done = build(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr

    site = tmp_path / "site"
    assert "Remember what messages say" in (site / "docs/reference/python/memory/index.html").read_text("utf-8")
    for path in site.rglob("*.html"):
        assert _ELSEWHERE.findall(path.read_text(encoding="utf-8")) == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"@import|url\(\W?https?:", path.read_text(encoding="utf-8")), path


@pytest.mark.slow
@pytest.mark.parametrize("link", ["[a page](LICENSE.md#nowhere)", "[a name][perdure.Nowhere]"])
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path, link):
    """The control: were the build lenient, the test above would always pass."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "examples").mkdir()
    for name, text in {
        "README.md": link,
        "LICENSE.md": "# Licence",
        "examples/README.md": "# Examples",
        "docs/site.css": "",
        "zensical.toml": '[project]\nsite_name = "x"\ndocs_dir = "build/docs"\n[project.plugins.mkdocstrings]\n',
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = build(tmp_path)
    assert done.returncode != 0
    assert "does not exist" in done.stderr or "unresolved" in done.stderr
