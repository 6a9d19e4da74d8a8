"""The folder of a training run: settings, history, logs and results, each written atomically."""

import contextlib
import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable, read_json, replacing
from micronet_mcu.folders import MARKER, mark, marker_of

_COMMAND = "train"
_CONFIG = "the settings of a training run"


class RunFolder:
    """Names and writes the files of one run, and touches no others.

    | file | what it holds |
    |---|---|
    | `.micronet.json` | says that the files of these names are a run's |
    | `config.json` | the settings of the run; another run with other settings is refused |
    | `best.keras` | the model of the epoch with the best validation result |
    | `last.keras` | the model of the last finished epoch, with all that resuming needs |
    | `history.csv` | one row per finished epoch |
    | `tensorboard/` | the same numbers for TensorBoard |
    | `curve.png`, `predictions.png` | of the finished run: the epochs, and what the model says |
    | `summary.json` | figures of the finished run |

    Attributes:
        files: those that a run is read back from, and the pictures, as paths.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.config = self.folder / "config.json"
        self.best = self.folder / "best.keras"
        self.last = self.folder / "last.keras"
        self.history = self.folder / "history.csv"
        self.tensorboard = self.folder / "tensorboard"
        self.curve = self.folder / "curve.png"
        self.predictions = self.folder / "predictions.png"
        self.summary = self.folder / "summary.json"
        self.files = (
            self.last, self.best, self.history, self.curve, self.predictions, self.summary,
            self.config,
        )  # fmt: skip

    def open(self, settings: dict, force: bool = False) -> bool:
        """Checks that the folder may take a run with these settings; nothing is written yet.

        Args:
            settings: JSON values, compared with those that the folder was started with.
            force: whatever run is there will be removed; of what is no run's, nothing is.

        Returns:
            Whether there is a checkpoint to resume from.

        Raises:
            UserError: the folder holds a run with other settings, or files of unknown origin, or
                cannot be written.
        """
        self._settings = json.loads(json.dumps(settings))
        self._force = force
        check_writable(self.folder, inside=True)
        if not self._is_ours():
            for path in (*self.files, self.tensorboard):
                if os.path.lexists(path):
                    raise UserError(
                        f"{path} exists, and nothing says that a training run wrote it (no "
                        f"{MARKER}); name another output, or move it away"
                    )
        if force:
            return False
        if self.config.exists():
            self._compare(self._settings)
        return self.last.exists()

    def claim(self) -> None:
        """Writes the settings; with force, removes the earlier run.

        Raises:
            UserError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        mark(self.folder, _COMMAND, [])
        if self._force:
            self._clear()
        # Written again when it is there: an unwritable folder shows now, not after an epoch.
        with replacing(self.config) as temporary:
            temporary.write_text(json.dumps(self._settings, indent=2) + "\n")

    def write_history(self, history: Sequence[dict]) -> None:
        """Writes all rows: a killed and resumed run leaves neither gaps nor doubles."""
        with replacing(self.history) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(history[0]))
            writer.writeheader()
            writer.writerows(history)

    def write_summary(self, summary: dict) -> None:
        with replacing(self.summary) as temporary:
            temporary.write_text(json.dumps(summary, indent=2) + "\n")

    def read_summary(self) -> dict | None:
        """The summary of a finished run, None where there is none.

        Raises:
            UserError: it is damaged.
        """
        if not self.summary.exists():
            return None
        advice = "remove it, and the same command writes it again"
        return read_json(self.summary, "the summary of a run", advice=advice)

    def load_best(self, model) -> None:
        """Gives the model the weights of the best epoch.

        Raises:
            UserError: the file is missing, damaged or of another model.
        """
        try:
            model.load_weights(self.best)
        except Exception as error:  # Of every kind, for a missing or damaged file.
            raise UserError(
                f"{self.best} is missing or damaged; `force=True` starts anew"
            ) from error

    def _is_ours(self) -> bool:
        """A run wrote this folder: the marker says so, or, before there were markers, a
        config.json with a run's settings."""
        marker = marker_of(self.folder)
        if marker is not None:
            return marker["command"] == _COMMAND
        if not self.config.exists():
            return False
        started_with = read_json(self.config, _CONFIG, advice="name another output")
        return started_with.keys() == self._settings.keys()

    def read_settings(self) -> dict:
        """What `config.json` holds.

        Raises:
            UserError: there is no run, or the file is damaged.
        """
        if not self.config.is_file():
            raise UserError(f"{self.folder} is not the folder of a run: it has no config.json")
        return read_json(self.config, _CONFIG, advice="train anew with `force=True`")

    def _compare(self, settings: dict) -> None:
        started_with = read_json(self.config, _CONFIG, advice="`force=True` starts anew")
        before, now = _flat(started_with), _flat(settings)
        names = [name for name in [*before, *now] if before.get(name) != now.get(name)]
        if names:
            differences = ", ".join(
                f"{name[-1]}={_shown(before.get(name))} (now {_shown(now.get(name))})"
                for name in dict.fromkeys(names)
            )
            raise UserError(
                f"{self.folder} holds a run with {differences}; "
                "name another output, or give `force=True` to start anew there"
            )

    def _clear(self) -> None:
        # The configuration goes last: while it is there, the folder is known to be ours.
        try:
            remove_log(self.tensorboard)
            for path in self.files:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"cannot remove {error.filename}: {error.strerror}") from error


# Where things lie may change between two calls; what they are may not.
_PLACES = ("data_dir",)


def _flat(settings: dict, above: tuple = ()) -> dict[tuple, object]:
    """The single settings by their path; those that only say where something lies are left out."""
    flat: dict[tuple, object] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, (*above, name))
        elif name not in _PLACES:
            flat[(*above, name)] = value
    return flat


def _shown(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def remove_log(folder: Path) -> None:
    """Removes what `TensorBoardLog` wrote, and the folders when they are empty then."""
    with contextlib.suppress(OSError):
        for part in (folder / "train", folder / "validation"):
            for file in part.glob("events.out.tfevents.*"):
                file.unlink()
            with contextlib.suppress(OSError):
                part.rmdir()
        folder.rmdir()


class TensorBoardLog:
    """Scalars per epoch under `tensorboard/`, rewritten from the history when a run resumes."""

    def __init__(self, folder: Path, history: Sequence[dict]):
        import tensorflow as tf

        self._tf = tf
        # `tf.summary.scalar` would need TensorBoard itself, which only who looks has to install.
        self._scalar = tf.compat.v1.SummaryMetadata()
        self._scalar.plugin_data.plugin_name = "scalars"
        remove_log(folder)
        try:
            # As bytes, for a name may be no UTF-8.
            self._writers = {
                name: tf.summary.create_file_writer(os.fsencode(folder / name))
                for name in ("train", "validation")
            }
        except tf.errors.OpError as error:
            raise UserError(f"cannot write {folder}: {error.message}") from error
        for row in history:
            self.add(row)

    def add(self, row: dict) -> None:
        """Adds one row of the history; `val_` columns appear as curves of "validation"."""
        for name, value in row.items():
            if name == "epoch":
                continue
            writer = self._writers["validation" if name.startswith("val_") else "train"]
            with writer.as_default():
                self._tf.summary.write(
                    f"epoch/{name.removeprefix('val_')}",
                    float(value),
                    step=row["epoch"],
                    metadata=self._scalar,
                )
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
