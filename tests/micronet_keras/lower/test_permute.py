"""Folding permutations leaves every graph as it was, with fewer gathers."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet_keras.lower.fusing import fuse_bounds
from micronet_keras.lower.graph import (
    RELU6,
    Add,
    Bound,
    Conv,
    Dense,
    DepthwiseConv,
    DYShiftMax,
    Flatten,
    Gather,
    GlobalAveragePool,
    Graph,
    HardSwish,
    Input,
)
from micronet_keras.lower.permute import fold_permutations, inverse
from micronet_keras.lower.tensorflow import run

CHANNELS = 12


def random_graph(choices: list[int], seed: int) -> Graph:
    """A chain of random nodes of 12 channels, with shortcuts over some of them."""
    random = np.random.default_rng(seed)

    def normal(*shape):
        return random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]) + 1)

    graph = Graph()
    x = before = graph.add(Input("image", (), (4, 4, CHANNELS)))
    for i, choice in enumerate(choices):
        name, groups = f"n{i}", (1, 2, 3, 4, 6)[choice // 8 % 5]
        match choice % 8:
            case 0 | 1:
                x = graph.add(Gather(name, (x,), random.permutation(CHANNELS)))
            case 2 | 3:
                kernel = normal(1, 1, CHANNELS // groups, CHANNELS)
                x = graph.add(Conv(name, (x,), kernel, normal(CHANNELS), groups=groups))
            case 4:
                x = graph.add(
                    DepthwiseConv(name, (x,), normal(3, 1, CHANNELS, 1), normal(CHANNELS))
                )
                x = graph.add(Bound(f"{name}r", (x,), RELU6))
            case 5:
                x = graph.add(
                    DYShiftMax(
                        name,
                        (x,),
                        random.permutation(CHANNELS),
                        normal(CHANNELS, 4),
                        normal(4),
                        normal(4, 4, CHANNELS),
                        normal(4, CHANNELS),
                        np.array([1.0, 0.0, 1.0, 0.0]),
                    )
                )
            case 6:
                x = graph.add(Add(name, (x, before)))
            case 7:
                before = x
    x = graph.add(GlobalAveragePool("pool", (x,)))
    x = graph.add(HardSwish("swish", (x,)))
    x = graph.add(Dense("dense", (x,), normal(CHANNELS, 5), normal(5)))
    graph.outputs = [before, graph.add(Flatten("flat", (x,)))]
    return graph


@settings(max_examples=40)
@given(st.lists(st.integers(0, 39), min_size=1, max_size=12), st.integers(0, 2**16))
def test_folded_graphs_compute_the_same(choices, seed):
    graph = fuse_bounds(random_graph(choices, seed))
    folded = fold_permutations(graph)
    x = np.random.default_rng(seed).standard_normal((2, 4, 4, CHANNELS)).astype(np.float32)
    for ours, expected in zip(run(folded, x), run(graph, x), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4, rtol=1e-4)


def test_permutations_between_elementwise_nodes_vanish():
    graph = Graph()
    graph.add(Input("image", (), (4, 4, 4)))
    graph.add(Gather("a", ("image",), np.array([2, 0, 3, 1])))
    graph.add(DepthwiseConv("d", ("a",), np.ones((3, 1, 4, 2)), np.zeros(8)))
    graph.add(Gather("b", ("d",), np.arange(8).reshape(2, 4).T.ravel()))
    graph.add(Conv("c", ("b",), np.ones((1, 1, 8, 4)), np.zeros(4)))
    graph.outputs = ["c"]
    assert [node.name for node in fold_permutations(graph)] == ["image", "d", "c"]


def test_permutation_of_whole_groups_and_inside_groups_vanishes():
    graph = Graph()
    graph.add(Input("image", (), (4, 4, 6)))
    graph.add(Gather("a", ("image",), np.array([5, 3, 4, 0, 2, 1])))
    graph.add(Conv("c", ("a",), np.ones((1, 1, 3, 4)), np.zeros(4), groups=2))
    graph.add(GlobalAveragePool("pool", ("c",)))
    graph.add(Dense("dense", ("pool",), np.ones((4, 2)), np.zeros(2)))
    graph.outputs = ["dense"]
    assert not any(isinstance(node, Gather) for node in fold_permutations(graph))


@given(st.permutations(range(9)))
def test_inverse(permutation):
    permutation = np.array(permutation)
    assert (inverse(permutation)[permutation] == np.arange(9)).all()
