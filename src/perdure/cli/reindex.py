"""`perdure reindex`: make the index of memories anew from the graph."""

from perdure.cli import screen
from perdure.cli.clients import with_client
from perdure.cli.options import AsJson, DataDir, Uri, existing, settings_for
from perdure.cli.parsing import Program

app = Program()


@app.command()
def reindex(*, uri: Uri = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make the index of memories anew from the graph.

    Everything is found again then, and nothing that is gone. An index of another embedder than the one that
    PERDURE_EMBEDDER names becomes that one's.
    """
    settings = existing(settings_for(data_dir, None, uri))
    with screen.progress("indexing", quiet=as_json) as told:
        count = with_client(
            settings,
            lambda client: client.rebuild_index(told),
            "That process keeps the index itself; client.rebuild_index() makes it anew there.",
            reindex="embedder" in settings.model_fields_set,  # not for a default, where a program names its own
        )
    if as_json:
        screen.emit({"indexed": count})
    else:
        screen.say(f"Indexed {screen.counted(count, 'record')}.")
