"""The demo: one conversation kept twice, waiting for the database and not waiting, then remembered and asked about.

Run it with `perdure demo`. Each module imports only from those before it: locomo, turns, remembering, answers, graphs,
agent, proof, passes, figures, report, run.
"""
