"""Where work runs: the event loop and process an object belongs to."""
