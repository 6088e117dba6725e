"""The fakes that users test their agents with."""

import numpy as np
import pytest

from perdure.protocols import Embedder, VectorStore
from perdure.records import VectorQuery, VectorRecord
from perdure.testing import FakeEmbedder, FakeVectorStore


async def test_the_fake_embedder_is_one_and_the_same_everywhere():
    """Two of them agree; texts that share words are closer than those that do not; no words, no meaning."""
    embedder = FakeEmbedder(64)
    assert isinstance(embedder, Embedder)
    one, near, far, blank = await embedder.embed(["the organ in Wales", "an organ in Wales", "lorry ferry", "?"])
    [again] = await FakeEmbedder(64).embed(["the organ in Wales"])
    assert np.array_equal(one, again)
    assert one @ near > one @ far
    assert not blank.any()
    assert embedder.texts == ["the organ in Wales", "an organ in Wales", "lorry ferry", "?"]


async def test_the_fake_vector_store_shows_what_it_holds():
    """So that a test can look."""
    store, embedder = FakeVectorStore(), FakeEmbedder(8)
    assert isinstance(store, VectorStore)
    await store.connect(embedder=embedder.name, dimension=embedder.dimension)
    [vector] = await embedder.embed(["hello"])
    await store.upsert([VectorRecord("ann", "1", "memory", "hello", vector)], mark="3")
    assert store.records["ann", "1"].text == "hello"
    assert store.marks == ["3"]
    [hit] = await store.search(VectorQuery("ann", vector, "hello"))
    assert (hit.id, hit.dense, hit.words) == ("1", pytest.approx(1), 1)
