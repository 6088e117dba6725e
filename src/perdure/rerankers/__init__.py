"""Rerankers, each behind `protocols.Reranker`."""
