"""What the processes of a run share: devices, outputs, the files of process 0."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from micronet_mcu.errors import UserError


def process_index() -> int:
    """Which process this is, from 0. Process 0 is the one whose files are kept."""
    return _of_jax("process_index", 0)


def process_count() -> int:
    """How many processes train together."""
    return _of_jax("process_count", 1)


def _of_jax(name: str, alone: int) -> int:
    if keras.backend.backend() != "jax":
        return alone
    import jax

    return getattr(jax, name)()


@contextlib.contextmanager
def devices_in_use() -> Iterator[int]:
    """The number of devices that train, 0 where Keras has no distribution.

    Inside the block Keras leaves it to us which process has which part of a batch.

    Raises:
        UserError: the distribution, set by whomever, is not one of the data alone on JAX.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        if process_count() > 1:
            raise UserError(
                "several processes need keras.distribution.set_distribution("
                "keras.distribution.DataParallel()) before the model is built"
            )
        yield 0
        return
    if not isinstance(distribution, keras.distribution.DataParallel):
        raise UserError(
            f"training takes keras.distribution.DataParallel, not {type(distribution).__name__}"
        )
    if keras.backend.backend() != "jax":
        raise UserError(
            "keras.distribution needs the JAX backend here: set KERAS_BACKEND=jax, or take "
            "keras.distribution.set_distribution back"
        )
    mesh = distribution.device_mesh
    with keras.distribution.DataParallel(device_mesh=mesh, auto_shard_dataset=False).scope():
        yield mesh.devices.size


def check_spread(variables: Sequence[keras.Variable]) -> None:
    """Raises UserError when a model was built before the distribution was set."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return
    for variable in variables:
        if len(variable.value.sharding.device_set) != distribution.device_mesh.devices.size:
            raise UserError(
                "the model must be built after keras.distribution.set_distribution; "
                f"{variable.path} is on one device"
            )


def spread_outputs(model: keras.Model, prepare: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """`model(prepare(pixels))`, each device computing its part of the pixels.

    Every process calls it with the same pixels [b, ...], any b, and gets all outputs [b, ...].
    """
    import jax

    distribution = keras.distribution.distribution()
    devices = distribution.device_mesh.devices.size
    everywhere = jax.sharding.NamedSharding(
        distribution.device_mesh.backend_mesh, jax.sharding.PartitionSpec()
    )

    def forward(trainable, others, pixels):
        return model.stateless_call(trainable, others, prepare(pixels), training=False)[0]

    compiled = jax.jit(forward, out_shardings=everywhere)

    def outputs(pixels):
        padded = np.zeros((-(-len(pixels) // devices) * devices, *pixels.shape[1:]), pixels.dtype)
        padded[: len(pixels)] = pixels
        layout = distribution.get_data_layout(padded.shape).backend_layout
        spread = jax.make_array_from_callback(padded.shape, layout, lambda part: padded[part])
        trainable = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        return np.asarray(compiled(trainable, others, spread))[: len(pixels)]

    return outputs


@contextlib.contextmanager
def copied_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A folder for each process that begins like the one of process 0.

    Process 0 has `folder` itself. Each of the others has a copy of its files of these names in a
    temporary folder, so that all do the same and what process 0 does is kept. No disk is shared.
    """
    with contextlib.ExitStack() as stack:
        place = folder
        if process_index():
            temporary = tempfile.TemporaryDirectory(prefix="micronet-process-")
            place = Path(stack.enter_context(temporary))
        if process_count() > 1:
            for name in names:
                path = place / name
                there = process_index() == 0 and path.is_file()
                content = _of_process_0(path.read_bytes() if there else None)
                if process_index() and content is not None:
                    path.write_bytes(content)
        yield place


def _of_process_0(content: bytes | None) -> bytes | None:
    """What process 0 calls it with; what the others give does not matter."""
    from jax.experimental import multihost_utils

    here = np.frombuffer(content or b"", np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(-1 if content is None else here.size)))
    if size < 0:
        return None
    mine = here if process_index() == 0 else np.zeros(size, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(mine), np.uint8).tobytes()
