"""The whole road from one file: train, quantize, convert, compile, evaluate, count, export.

FILE.yaml has the sections data, model, training, quantization, target and report. What a section
does not name comes from the preset and the defaults; the settings are the flags of micronet train
and micronet quantize by the same names. --init writes such a file for a folder of photographs (a
sub-folder per class) or of annotated pictures.

Every stage is skipped when it is done: the same command goes on where it was stopped, and after a
change of the file it does again only what the change concerns. In the run's folder (`out` of the
file) are the files of each stage, pipeline.yaml with every setting, and results.json.

Examples:

  micronet pipeline --init ./photos        # writes photos.yaml
  micronet pipeline photos.yaml            # leaves out/photos/
"""

from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_cli.run_files import dataset_line
from micronet_mcu.files import check_writable, refuse_existing, replacing
from micronet_settings.pipeline import PipelineConfig, read_pipeline

_INIT = flags.DEFINE_string(
    "init", None, "write FILE.yaml for this folder of images, or TFDS name, and do nothing else"
)
_FORCE = flags.DEFINE_boolean(
    "force", False, "do every stage anew, training included; with --init, replace the file"
)


def main(argv: list[str]) -> None:
    if _INIT.value:
        _write_file(_INIT.value, argv[1] if len(argv) == 2 else None)
        return
    config = read_pipeline(script.argument(argv, "FILE.yaml (--init writes one for a folder)"))
    check_writable(config.out, inside=True)
    from micronet_keras.pipeline import run_pipeline
    from micronet_keras.train import read_run

    results = run_pipeline(config, force=_FORCE.value, tell=lambda line: print(line, flush=True))
    print(dataset_line(config.data.dataset, read_run(config.out).class_names))
    script.print_figures(results)
    print(f"{config.out}: best.keras, int8/, c/, results.json{_next(config)}")


def _next(config: PipelineConfig) -> str:
    if config.target.platform == "none":
        return f"; next: {script.command('export')} {config.out} --platform=..."
    project = Path(config.out, config.target.platform)
    return f"; next: {project / 'README.md'} says how to build the firmware"


def _write_file(dataset: str, file: str | None) -> None:
    path = Path(file or f"{Path(dataset).resolve().name}.yaml")
    refuse_existing(path, _FORCE.value)
    check_writable(path)
    if dataset.startswith("~"):
        dataset = str(Path(dataset).expanduser())
    from micronet_keras.pipeline_file import starting_file

    text = starting_file(dataset, path.stem, script.command("pipeline"))
    with replacing(path, _FORCE.value) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text, end="")
    print(f"\n{path} is written; next: {script.command('pipeline')} {path}")


def run() -> None:
    script.run(main, positional="FILE.yaml")
