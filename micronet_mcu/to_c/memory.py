"""Plans the arena: where in SRAM every activation lies, so that few bytes do for all.

Two buffers that live at the same time must not overlap, with two exceptions: an elementwise kernel
may write over its input ("in place": the two share a buffer), and the output of a kernel that works
from the first row to the last may lie over rows of its input that are used up, if it begins a
certain number of bytes, the lag, below it. Convolutions do so in bands of rows (`to_c.bands`),
where the arena is the smaller for it.
"""

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from micronet_mcu.graph.graph import Graph
from micronet_mcu.graph.program import Step
from micronet_mcu.graph.value import Value
from micronet_mcu.to_c.bands import can_be_banded, in_bands, rows_of

ALIGNMENT = 8
_EXHAUSTIVE = 7
_TRIES = 1500
# Rows of a band: the arena is as small as it gets with the fewest, and then the bands are made as
# large as it has room for.
_FEWEST_ROWS, _MORE_ROWS = 4, (32, 16, 8)
# Bands take a few more instructions: they are made where they save a tenth of the arena.
_WORTH_BANDS = 0.9

# (output, input) -> bytes, see `plan_offsets`.
Lags = dict[tuple[int, int], int]


@dataclass(frozen=True)
class Buffer:
    """Bytes that are needed from step `first` to step `last`, both included.

    Attributes:
        name: of the layer that writes them first.
        scratch: whether they are scratch memory.
    """

    name: str
    size: int
    first: int
    last: int
    scratch: bool = False

    def meets(self, other: "Buffer") -> bool:
        """Whether both live at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Plan:
    """Offsets of the buffers, in their order; `lags[(output, input)]` as in `plan_offsets`."""

    buffers: list[Buffer]
    offsets: list[int]
    lags: Lags
    lower_bound: int

    @property
    def size(self) -> int:
        """Bytes of the arena."""
        ends = [o + b.size for o, b in zip(self.offsets, self.buffers, strict=True)]
        return max(ends, default=0)

    def in_use(self, step: int) -> int:
        """Bytes of the arena that hold something at a step; overlaps count once."""
        alive = [(o, o + b.size) for o, b in zip(self.offsets, self.buffers, strict=True)
                 if b.first <= step <= b.last]  # fmt: skip
        total = reached = 0
        for start, end in sorted(alive):
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        return total

    @property
    def optimal(self) -> bool:
        """Whether no plan for these steps in this order can be smaller."""
        return self.size == self.lower_bound


@dataclass(frozen=True)
class Arena:
    """A plan, and which of its buffers holds what (values by identity, scratch by step)."""

    plan: Plan
    of_value: dict[int, int]
    of_scratch: dict[int, int]

    def offset(self, value: Value) -> int:
        return self.plan.offsets[self.of_value[id(value.root)]] + value.offset

    def scratch_offset(self, step: int) -> int:
        return self.plan.offsets[self.of_scratch[step]]


def round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def plan_arena(graph: Graph, steps: list[Step]) -> tuple[list[Step], Arena]:
    """Lays out the values of `steps` and their scratch memory.

    Returns the steps, too: those that are faster with more memory have been given what is free
    while they run, the arena being as large as it must be for others.
    """
    steps = _in_bands(graph, steps)
    tight = _lay_out(graph, steps)
    size = tight.plan.size
    for share in (1.0, 0.5, 0.25):
        roomy = [
            _with_room(step, int(share * (size - tight.plan.in_use(i))))
            for i, step in enumerate(steps)
        ]
        arena = _lay_out(graph, roomy, enough=size)
        if arena.plan.size <= size:
            return _grown(roomy, arena)
    return _grown(steps, tight)


def _in_bands(graph: Graph, steps: list[Step]) -> list[Step]:
    """Convolutions in bands of rows where the arena needs it to be much smaller."""
    size = _lay_out(graph, steps).plan.size
    choices = [steps, *(_banded(steps, rows) for rows in (*_MORE_ROWS, _FEWEST_ROWS))]
    smallest = _lay_out(graph, choices[-1]).plan.size
    if smallest > _WORTH_BANDS * size:
        return steps
    needed = [_needed(graph, choice) for choice in choices]
    for share in (1.0, 0.95, 0.9, 0.8):
        # Of every step the first choice that fits into that share of the arena.
        found = [
            next((c[i] for c, n in zip(choices, needed, strict=True) if n[i] <= share * smallest),
                 choices[-1][i])
            for i in range(len(steps))
        ]  # fmt: skip
        if _lay_out(graph, found, enough=smallest).plan.size <= smallest:
            return found
    return choices[-1]


def _banded(steps: list[Step], rows: int) -> list[Step]:
    return [
        in_bands(step, rows) if can_be_banded(step) and rows_of(step) > rows else step
        for step in steps
    ]


def _needed(graph: Graph, steps: list[Step]) -> list[int]:
    """The bytes that each step needs at least."""
    buffers, lags, _, _ = _buffers(graph, steps)
    return [_alive_at(i, buffers, lags) for i in range(len(steps))]


def _grown(steps: list[Step], arena: Arena) -> tuple[list[Step], Arena]:
    """Gives scratch memory of which kernels make use the largest gap there is at its step."""
    steps, plan, of_scratch = list(steps), arena.plan, dict(arena.of_scratch)
    buffers, offsets = list(plan.buffers), list(plan.offsets)
    for i, step in enumerate(steps):
        scratch = step.call.scratch
        if scratch is None or scratch.most <= scratch.bytes:
            continue
        others = [(offsets[j], offsets[j] + b.size) for j, b in enumerate(buffers)
                  if j != of_scratch.get(i) and b.first <= i <= b.last]  # fmt: skip
        start, end = _largest_gap(others, plan.size)
        most = round_up(scratch.most)
        if scratch.bytes == 0 and end - start < most:
            continue
        size = max(scratch.bytes, min(end - start, most))
        steps[i] = replace(step, call=replace(step.call, scratch=replace(scratch, bytes=size)))
        grown = Buffer(step.name, round_up(size), i, i, scratch=True)
        if i in of_scratch:
            buffers[of_scratch[i]], offsets[of_scratch[i]] = grown, start
        else:
            of_scratch[i] = len(buffers)
            buffers.append(grown)
            offsets.append(start)
    plan = replace(plan, buffers=buffers, offsets=offsets)
    return steps, replace(arena, plan=plan, of_scratch=of_scratch)


def _largest_gap(taken: Iterable[tuple[int, int]], size: int) -> tuple[int, int]:
    """The longest run of free bytes below `size`; the first of those."""
    best, reached = (0, 0), 0
    for start, end in [*sorted(taken), (size, size)]:
        best = max(best, (reached, start), key=lambda gap: gap[1] - gap[0])
        reached = max(reached, end)
    return best


def _with_room(step: Step, room: int) -> Step:
    scratch = step.call.scratch
    if scratch is None or not scratch.unit:
        return step
    room += round_up(scratch.bytes)
    if room >= round_up(step.output.nbytes):
        return replace(step, in_place=False, call=replace(step.call, scratch=None))
    more = replace(scratch, bytes=max(room // round_up(scratch.unit), 1) * scratch.unit)
    return replace(step, call=replace(step.call, scratch=more))


def _lay_out(graph: Graph, steps: list[Step], enough: int = 0) -> Arena:
    buffers, lags, of_value, of_scratch = _buffers(graph, steps)
    return Arena(plan_offsets(buffers, lags, enough), of_value, of_scratch)


def _buffers(
    graph: Graph, steps: list[Step]
) -> tuple[list[Buffer], Lags, dict[int, int], dict[int, int]]:
    """The buffers, their lags, and which of them holds what, as in `Arena`."""
    inputs = [value.root for value in graph.inputs]
    roots = inputs + [step.output.root for step in steps]
    first = {id(root): max(i - len(inputs), 0) for i, root in enumerate(roots)}
    last = dict(first)
    for i, step in enumerate(steps):
        for value in step.inputs:
            last[id(value.root)] = i
    for output in graph.outputs:
        last[id(output.root)] = len(steps)

    lags: Lags = {}
    buffers = [_buffer(root.name or "input", root, first, last) for root in inputs]
    of_value = {id(root): i for i, root in enumerate(inputs)}
    for i, step in enumerate(steps):
        root = step.output.root
        dying = [v.root for v in step.inputs if last[id(v.root)] == i]
        whole = [v.root for v in step.inputs if v.nbytes == v.root.nbytes == root.nbytes]
        same = [one for one in whole if one in dying] if step.in_place else []
        if same:
            index = of_value[id(same[0])]
            old = buffers[index]
            buffers[index] = Buffer(old.name, old.size, old.first, last[id(root)])
        else:
            index = len(buffers)
            buffers.append(_buffer(step.name, root, first, last))
            if step.lag is not None and step.inputs and step.inputs[0].root in dying:
                lags[index, of_value[id(step.inputs[0].root)]] = round_up(step.lag)
        of_value[id(root)] = index
    of_scratch = {}
    for i, step in enumerate(steps):
        if step.scratch_bytes:
            of_scratch[i] = len(buffers)
            buffers.append(Buffer(step.name, round_up(step.scratch_bytes), i, i, scratch=True))
    return buffers, lags, of_value, of_scratch


def _buffer(name: str, root: Value, first: dict[int, int], last: dict[int, int]) -> Buffer:
    return Buffer(name, round_up(root.nbytes), first[id(root)], last[id(root)])


def plan_offsets(buffers: list[Buffer], lags: Lags | None = None, enough: int = 0) -> Plan:
    """Finds offsets that need little memory; the same plan on every run.

    Args:
        buffers: sizes in bytes, multiples of `ALIGNMENT`.
        lags: (output, input) -> bytes: this output may overlap this input, if it begins at least so
            many bytes below it. The two must meet in one step only.
        enough: bytes with which the search is content.

    Placing buffers one after the other as low as they go reaches the optimum for some order. For up
    to seven buffers all orders are tried. Beyond that the largest come first; then the best plan is
    varied by drawing forward what reaches high, until it meets the lower bound or tries run out.
    """
    lags = {pair: min(lag, buffers[pair[0]].size) for pair, lag in (lags or {}).items()}
    bound = lower_bound(buffers, lags)
    neighbours = [[j for j, other in enumerate(buffers) if j != i and buffer.meets(other)]
                  for i, buffer in enumerate(buffers)]  # fmt: skip

    def place(order: Iterable[int]) -> list[int]:
        offsets: dict[int, int] = {}
        for i in order:
            taken = sorted(
                _taken(buffers, lags, i, j, offsets[j]) for j in neighbours[i] if j in offsets
            )
            offset = 0
            for start, end in taken:
                if start >= offset:
                    break
                offset = max(offset, end)
            offsets[i] = offset
        return [offsets[i] for i in range(len(buffers))]

    def height(offsets: list[int]) -> int:
        return max((o + b.size for o, b in zip(offsets, buffers, strict=True)), default=0)

    best: list[int] = []
    for order in _first_orders(buffers, lags):
        offsets = place(order)
        if not best or height(offsets) < height(best):
            best = offsets
        if height(best) <= max(bound, enough):
            return Plan(list(buffers), best, lags, bound)
    rng = random.Random(0)
    for _ in range(_TRIES if len(buffers) > _EXHAUSTIVE else 0):
        offsets = place(_varied(buffers, best, rng))
        if height(offsets) <= height(best):
            best = offsets
        if height(best) <= max(bound, enough):
            break
    return Plan(list(buffers), best, lags, bound)


def _first_orders(buffers: list[Buffer], lags: Lags) -> Iterable[Sequence[int]]:
    indices = range(len(buffers))
    if len(buffers) <= _EXHAUSTIVE:
        yield from itertools.permutations(indices)
        return
    keys = (
        [(-b.size, b.first - b.last) for b in buffers],
        [(-b.size, b.last) for b in buffers],
        [(-b.size, -b.last) for b in buffers],
    )
    for key in keys:
        order = sorted(indices, key=key.__getitem__)
        # An input can lie above an output that is there already; the reverse needs luck.
        for out, into in lags:
            if order.index(into) < order.index(out):
                order.remove(into)
                order.insert(order.index(out) + 1, into)
        yield order


def _varied(buffers: list[Buffer], offsets: list[int], rng: random.Random) -> list[int]:
    """The buffers from the bottom of a plan to its top, some of the high ones drawn forward."""
    order = sorted(range(len(buffers)), key=lambda i: (offsets[i], -buffers[i].size))
    ends = [offsets[i] + buffers[i].size for i in order]
    high = [place for place, end in enumerate(ends) if 2 * end > max(ends)]
    for _ in range(rng.randint(1, 3)):
        chosen = rng.choice(high)
        order.insert(rng.randint(0, chosen), order.pop(chosen))
    return order


def _taken(buffers: list[Buffer], lags: Lags, i: int, j: int, offset: int) -> tuple[int, int]:
    """The open interval of offsets that buffer i cannot have once j lies at `offset`."""
    start, end = offset - buffers[i].size, offset + buffers[j].size
    if (i, j) in lags:
        start = offset - lags[i, j]
    elif (j, i) in lags:
        end = offset + lags[j, i]
    return start, end


def lower_bound(buffers: list[Buffer], lags: Lags) -> int:
    """Bytes that no plan can go below: the most that is alive in one step, overlaps deducted."""
    steps = range(max((b.last for b in buffers), default=-1) + 1)
    return max((_alive_at(step, buffers, lags) for step in steps), default=0)


def _alive_at(step: int, buffers: list[Buffer], lags: Lags) -> int:
    alive = {i for i, b in enumerate(buffers) if b.first <= step <= b.last}
    total = sum(buffers[i].size for i in alive)
    for (out, into), lag in lags.items():
        if out in alive and into in alive:
            both = buffers[out].size + buffers[into].size
            total -= both - min(both, max(lag + buffers[into].size, buffers[out].size))
    return total
