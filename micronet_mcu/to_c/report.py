"""The memory plan as text."""

from micronet_mcu.to_c.emit import Program


def plan_text(program: Program) -> str:
    """A line a step (kernel, bytes in use, MACs), then a line a buffer (offset, bytes, steps)."""
    plan = program.arena.plan
    lines = [f"{'step':>4}  {'kernel':28}  {'output':>14}  {'in use':>8}  {'MACs':>9}"]
    for i, step in enumerate(program.steps):
        shape = "x".join(map(str, step.output.shape[1:]))
        kernel = step.call.kernel.name.removeprefix("micronet_")
        lines.append(f"{i:4}  {kernel:28}  {shape:>14}  {plan.in_use(i):8}  {step.macs:9}")
    lines += ["", f"{'offset':>7}  {'bytes':>7}  {'steps':>9}  buffer"]
    for offset, buffer in sorted(zip(plan.offsets, plan.buffers, strict=True), key=_by_time):
        span = f"{buffer.first}..{buffer.last}"
        lines.append(f"{offset:7}  {buffer.size:7}  {span:>9}  {buffer.name[-60:]}")
    bound = "which is the least possible" if plan.optimal else f"at least {plan.lower_bound} needed"
    lines += ["", f"arena: {plan.size} bytes, {bound}"]
    return "\n".join(lines)


def _by_time(pair) -> tuple:
    offset, buffer = pair
    return buffer.first, offset
