"""The memory plan as text."""

from micronet_mcu.to_c.memory import Buffer
from micronet_mcu.to_c.program import Program


def plan_text(program: Program) -> str:
    """A line a step (layer, kernel, rows of the output at a time, bytes in use, MACs), then a line
    a buffer (offset, bytes, steps and the layer that writes it)."""
    plan = program.arena.plan
    width = max((len(step.name) for step in program.steps), default=5)
    lines = [
        f"{'step':>4}  {'layer':{width}}  {'kernel':20}  {'output':>14}  {'rows':>4}  {'in use':>8}"
        f"  {'MACs':>9}"
    ]
    for i, step in enumerate(program.steps):
        shape = "x".join(map(str, step.output.shape[1:]))
        kernel = step.kernel.name.removeprefix("micronet_")
        rows = "all" if step.rows is None else step.rows
        lines.append(
            f"{i:4}  {step.name:{width}}  {kernel:20}  {shape:>14}  {rows:>4}  {plan.in_use(i):8}  "
            f"{step.macs:9}"
        )
    lines += ["", f"{'offset':>7}  {'bytes':>7}  {'steps':>9}  buffer"]
    for offset, buffer in sorted(zip(plan.offsets, plan.buffers, strict=True), key=_by_time):
        span = f"{buffer.first}..{buffer.last}"
        name = f"scratch of {buffer.name}" if buffer.scratch else buffer.name
        lines.append(f"{offset:7}  {buffer.size:7}  {span:>9}  {name}")
    bound = "no plan of these steps takes less" if plan.optimal else f"{plan.lower_bound} at least"
    lines += ["", f"arena: {plan.size} bytes, {bound}"]
    if program.kept:
        lines.append(f"kept from run to run: {program.kept_bytes} bytes more")
    return "\n".join(lines)


def _by_time(pair: tuple[int, Buffer]) -> tuple[int, int]:
    offset, buffer = pair
    return buffer.first, offset
