"""Embedders: what turns a text into a vector."""
