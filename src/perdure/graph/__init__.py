"""The graph as an application sees it."""
