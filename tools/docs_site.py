"""Build the documentation as a site, strictly: ``make docs``.

The pages are those that a Git host shows, under the same paths: a `README.md` is its directory's front page, and what
a page links to and is no page itself (an example, a notebook, the licence) is shown on a page of its own. A page, a
heading or a public name that is linked to and not there fails the build, and so does a link that leads nowhere.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build" / "docs"
"""Where the generator finds the pages; `zensical.toml` names it."""
KEPT = {".svg", ".png", ".css"}
STYLE = ROOT / "docs" / "site.css"

_LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")


class BrokenLinkError(Exception):
    """A page links to something that is not in the repository."""


def pages() -> list[Path]:
    """Return every page that the site has."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "README.md"]


def place(path: Path) -> PurePosixPath:
    """Return where on the site a file of the repository is found."""
    inside = PurePosixPath(path.relative_to(ROOT).as_posix())
    if inside.name == "README.md":
        return inside.with_name("index.md")
    return inside if inside.suffix in {".md", *KEPT} else inside.with_name(inside.name + ".md")


def targets(page: Path) -> Iterator[Path]:
    """Yield the files of the repository that a page links to."""
    for link in _LINK.finditer(page.read_text(encoding="utf-8")):
        yield _target(page, link["path"])


def _target(page: Path, link: str) -> Path:
    target = (page.parent / unquote(link)).resolve()
    if target.is_dir():
        target /= "README.md"
    if not target.is_file() or not target.is_relative_to(ROOT):
        raise BrokenLinkError(f"{page.relative_to(ROOT)} links to {link}, which is not there.")
    return target


def moved(page: Path) -> str:
    """Return a page's text with its links leading to where things are on the site."""
    here = place(page).parent

    def there(link: re.Match[str]) -> str:
        goal = place(_target(page, link["path"]))
        return PurePosixPath(os.path.relpath(goal, here)).as_posix() + (link["anchor"] or "")

    return _LINK.sub(there, page.read_text(encoding="utf-8"))


def shown(path: Path) -> str:
    """Return a page that shows a file which is none: code in a fence, a notebook cell by cell."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return f"# {path.name}\n\n{fenced(text, 'python' if path.suffix == '.py' else 'text')}"
    cells = json.loads(text)["cells"]
    return "\n\n".join(part for cell in cells for part in cell_parts(cell))


def cell_parts(cell: dict[str, object]) -> Iterator[str]:
    """Yield a notebook's cell as Markdown, and what it printed."""
    source = "".join(cell["source"])
    yield source if cell["cell_type"] == "markdown" else fenced(source, "python")
    for output in cell.get("outputs", ()):
        yield fenced("".join(output["text"]), "text")


def fenced(text: str, language: str) -> str:
    """Return a text as a block of code."""
    return f"````{language}\n{text.rstrip()}\n````"


def stage() -> None:
    """Put the pages, and all that they link to, where the generator finds them."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    linked = {STYLE, *(target for page in pages() for target in targets(page))} - set(pages())
    for path in [*pages(), *sorted(linked)]:
        goal = SOURCE / place(path)
        goal.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in KEPT:
            shutil.copyfile(path, goal)
        else:
            goal.write_text(moved(path) if path.suffix == ".md" else shown(path), encoding="utf-8")


def main() -> int:
    """Stage the pages and build them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="show the site on this machine until Ctrl-C")
    serve = parser.parse_args().serve
    try:
        stage()
    except BrokenLinkError as error:
        sys.exit(str(error))
    does = ["serve"] if serve else ["build", "--strict", "--clean"]
    return subprocess.run([sys.executable, "-m", "zensical", *does], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
