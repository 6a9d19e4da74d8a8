"""The int8 graph: what passes may do, what the verifier finds, what the table of operators says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from mutations import MUTATIONS, mutate
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema
from tiny_tflite import TinyModel, small_micronet

from micronet_mcu.errors import UserError
from micronet_mcu.graph import passes
from micronet_mcu.graph.graph import Foreign, Graph
from micronet_mcu.graph.ops import COMPILED, OPS
from micronet_mcu.graph.ops.conv_2d import Conv2D
from micronet_mcu.graph.ops.dy_shift_max import DYShiftMax
from micronet_mcu.graph.ops.gather import Gather
from micronet_mcu.graph.read import graph_of, partial_graph_of, read_model
from micronet_mcu.graph.verify import verify


def snapshot(graph):
    """Nodes and values by identity, and the content of every array."""
    return [
        (node, *(v for v in (*node.inputs, *node.outputs)), *map(repr, vars(node).values()))
        for node in graph.nodes
    ]


def small_graph(seed=0):
    return graph_of(read_model(small_micronet(seed)))


@pytest.mark.parametrize("sequence", [passes.EXACT, passes.FUSING], ids=["exact", "fusing"])
@pytest.mark.parametrize("seed", [0, 3])
def test_a_graph_is_sound_after_every_pass_and_passes_change_no_graph(sequence, seed):
    graph = verify(small_graph(seed))
    for one in sequence:
        before = snapshot(graph)
        made = verify(one(graph))
        assert snapshot(graph) == before
        assert made.inputs is graph.inputs
        covered = {i for node in made.nodes for i in node.operators}
        removed = {i for node in graph.nodes if node.kind == "RESHAPE" for i in node.operators}
        assert covered | removed == {i for node in graph.nodes for i in node.operators}
        graph = made
    assert not any(isinstance(node, Gather) for node in graph.nodes) or sequence is passes.EXACT


@pytest.mark.slow
@settings(max_examples=60)
@given(MUTATIONS)
def test_passes_leave_any_readable_graph_sound(mutations):
    try:
        graph = verify(graph_of(read_model(mutate(small_micronet(), mutations))))
    except UserError:
        return
    for one in passes.FUSING:
        graph = verify(one(graph))


def _changed(graph, kind, **fields):
    node = next(node for node in graph.nodes if isinstance(node, kind))
    return graph.exchange({node: replace(node, **fields)})


def _first_conv(graph):
    return next(node for node in graph.nodes if isinstance(node, Conv2D))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda g: Graph(g.nodes[::-1], g.inputs, g.outputs), "written first"),
        (lambda g: Graph((*g.nodes, g.nodes[-1]), g.inputs, g.outputs), "written once"),
        (lambda g: Graph(g.nodes[:-1], g.inputs, g.outputs), "Outputs must be written"),
        (lambda g: _changed(g, Gather, index=np.array([99])), "indices"),
        (
            lambda g: _changed(g, Conv2D, inputs=(replace(g.inputs[0], base=g.nodes[0].output),)),
            "Views",
        ),
        (
            lambda g: _changed(
                g, Conv2D, weights=_first_conv(g).weights.take(np.array([0, 1, 0, 1, 0]))
            ),
            "weights for 5 of 2 output channels",
        ),
        (
            lambda g: _changed(g, Conv2D, window=replace(_first_conv(g).window, pad=(-1, 0))),
            "window",
        ),
    ],
)
def test_the_verifier_finds_what_is_broken(broken, message):
    graph = small_graph()
    with pytest.raises(ValueError, match=message):
        verify(broken(graph))


def test_a_gather_that_changes_the_scale_is_not_folded(tmp_path):
    m = TinyModel()
    y = m.gather(m.conv(m.input((1, 4, 4, 3)), 4), [3, 2, 1, 0])
    m.tensors[y].quantization.scale[0] *= 3
    graph = graph_of(read_model(m.build(m.conv(y, 4))))
    assert len(passes.run(graph, passes.EXACT).nodes) == 3


def test_a_fused_node_names_its_operators():
    m = TinyModel()
    y = m.dy_shift_max(m.conv(m.input((1, 4, 4, 3)), 8), 2, 2)
    graph = passes.run(graph_of(read_model(m.build(y))), passes.FUSING)
    fused = next(node for node in graph.nodes if isinstance(node, DYShiftMax))
    kinds = [read_model(m.build(y)).operators[i].name for i in fused.operators]
    assert sorted(kinds) == ["ADD", "ADD", "GATHER", "MAXIMUM", "MUL", "MUL", "MUL", "MUL"]
    assert fused.origin.endswith("DY_SHIFT_MAX") and fused.origin.startswith("operators ")


def test_what_cannot_be_compiled_is_passed_on_with_all_its_outputs():
    m = TinyModel()
    x = m.input((1, 4, 4, 4))
    y = m.operator("EXP", [m.conv(x, 4)], m.tensor((1, 4, 4, 4), 1 / 128, 0))
    graph = verify(partial_graph_of(read_model(m.build(m.conv(y, 2), y))))
    assert [type(node) for node in graph.nodes] == [Conv2D, Foreign, Conv2D]
    assert len(graph.outputs) == 2 and graph.only_consumer(graph.nodes[1].output) is None


def test_the_table_names_operators_of_the_schema():
    for name, op in OPS.items():
        assert hasattr(schema.BuiltinOperator, name) and op.tflite == name
        assert op.resolver.startswith("Add")
        assert op.options is None or hasattr(schema.BuiltinOptions, op.options)
    assert set(COMPILED) <= set(OPS)
    with pytest.raises(UserError, match=f"supported are {', '.join(COMPILED)}"):
        m = TinyModel()
        graph_of(read_model(m.build(m.unary("EXP", m.input((1, 4))))))
