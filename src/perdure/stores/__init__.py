"""Databases behind the GraphStore protocol, one package each; none of them knows of settings or of the others."""
