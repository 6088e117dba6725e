"""The demo: one conversation kept twice, waiting for the database and not waiting, and what each costs the agent.

Run it with `python -m perdure.demo`. Each module imports only from those before it: locomo, turns, remembering,
answers, graphs, passes, figures, report.
"""
