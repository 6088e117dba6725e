"""Run a page's Python blocks in order, in one namespace, on one event loop; blocks may await at the top level.

Reads `{"page": …, "blocks": [{"text", "line"}, …]}` from stdin and writes what each block printed, as a JSON list.
Tracebacks name the page and its lines.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import json
import linecache
import sys


def main() -> None:
    """Run the blocks; the first that raises ends the run, and its traceback says where."""
    page = json.load(sys.stdin)
    namespace = {"__name__": "__main__"}
    printed = []
    with asyncio.Runner() as loop:
        for block in page["blocks"]:
            source = "\n" * (block["line"] - 1) + block["text"]
            linecache.cache[page["page"]] = (len(source), None, source.splitlines(keepends=True), page["page"])
            code = compile(source, page["page"], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                if code.co_flags & inspect.CO_COROUTINE:
                    loop.run(awaited(code, namespace))
                else:
                    exec(code, namespace)
            printed.append(out.getvalue())
    json.dump(printed, sys.stdout)


async def awaited(code, namespace):
    """Run a block that awaits."""
    await eval(code, namespace)


if __name__ == "__main__":
    main()
