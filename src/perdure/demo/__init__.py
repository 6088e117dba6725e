"""The demo: one conversation kept twice, waiting for the database and not waiting, then remembered and asked about.

Run it with `python -m perdure.demo`. Each module imports only from those before it: locomo, turns, remembering,
answers, graphs, passes, figures, report.
"""
