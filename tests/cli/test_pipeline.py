"""micronet pipeline: its file, its stages, and what it skips."""

import json

import pytest
import yaml
from picture_folders import red_and_green
from script_runner import ScriptRunner
from tiny_training import tiny_classifier

from micronet_keras import pipeline
from micronet_keras.pipeline_file import starting_file
from micronet_keras.tasks import NETWORKS
from micronet_mcu.errors import UserError
from micronet_settings import RECIPES, replace
from micronet_settings.pipeline import pipeline_of, read_pipeline

DATA = {"data": {"dataset": "./photos"}}


def test_what_is_not_named_has_its_default():
    config = pipeline_of(DATA, "here/pets.yaml")
    assert (config.out, config.mode, config.quantization.epochs) == ("out/pets", "ptq", 0)
    assert config.training == RECIPES["classification"]["quick"]
    training = {"task": "keypoints", "image_size": "96x64", "learning_rate": "1e-3", "sigma": 2}
    config = pipeline_of({**DATA, "training": training}, "pets.yaml")
    assert config.training == replace(
        RECIPES["keypoints"]["quick"], image_size=96, image_width=64, learning_rate=1e-3, sigma=2.0
    )


@pytest.mark.parametrize("mode", ["ptq", "qat"])
def test_the_resolved_file_reads_back_as_the_same(tmp_path, mode):
    values = {**DATA, "training": {"preset": "m3", "epochs": 20}, "quantization": {"mode": mode}}
    config = pipeline_of(values, "pets.yaml")
    (tmp_path / "all.yaml").write_text(config.to_yaml())
    assert read_pipeline(tmp_path / "all.yaml") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {epoch: 3}", "training has no setting 'epoch'; did you mean epochs"),
        ("training: {epochs: ten}", "training: epochs must be a whole number. Received: 'ten'"),
        ("training: {epochs: true}", "epochs must be a whole number. Received: True"),
        ("training: {flip: 1}", "flip must be true or false. Received: 1"),
        ("training: {epochs: 0}", "training: epochs must be at least 1. Received: 0"),
        ("training: {preset: m9}", "preset must be one of m0, m1, m2, m3, quick"),
        ("training: {sigma: 1.5}", "training has no setting 'sigma'"),
        ("training: {epochs: 3}\ntraining: {epochs: 4}", "training is there twice"),
        ("model: {network: m7}", "model: network must be one of m0, m1, m2, m3"),
        ("model: m0", "model must have its settings below it. Received: 'm0'"),
        ("quantization: {mode: ptq, epochs: 2}", "epochs are of mode: qat"),
        ("out: [1]", "out must be a folder to write. Received: [1]"),
        ("training: {task: [1]}", "task must be one of classification, detection, keypoints"),
        ("target: {board: z80}", "target: board must be one of cortex-m4"),
        ("report: {limits: 1}", "did you mean limit"),
        ("dat: {dataset: x}", "no setting 'dat'; did you mean data"),
    ],
)
def test_mistakes_name_file_section_and_setting(tmp_path, text, message):
    assert message in refused(tmp_path / "pets.yaml", f"data: {{dataset: x}}\n{text}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data needs a dataset"),
        ("data: {dataset: [1]}", "data: dataset must be a text. Received: [1]"),
        ("a: [", "cannot be read as YAML"),
        ("- 1", "holds no settings"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, message):
    assert message in refused(tmp_path / "pets.yaml", text)


def refused(path, text) -> str:
    path.write_text(text)
    with pytest.raises(UserError) as found:
        read_pipeline(path)
    assert str(path) in str(found.value)
    return str(found.value)


def test_a_first_file_for_a_folder(tmp_path):
    text = starting_file(str(red_and_green(tmp_path)), "photos", "micronet pipeline")
    assert "images: " in text and "green" in text
    (tmp_path / "photos.yaml").write_text(text)
    config = read_pipeline(tmp_path / "photos.yaml")
    assert (config.task, config.preset, config.out) == ("classification", "quick", "out/photos")
    assert 8 <= config.training.training.batch_size <= 32
    assert yaml.safe_load(config.to_yaml())["training"]["epochs"] == config.training.training.epochs


@pytest.mark.slow
def test_stages_are_skipped_when_done_and_done_again_when_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(NETWORKS, "m0", tiny_classifier)
    red_and_green(tmp_path / "photos")
    values = {
        "data": {"dataset": "./photos"},
        "training": {"image_size": 32, "batch_size": 8, "epochs": 1, "warmup_epochs": 0},
        "target": {"board": "none", "platform": "host"},
    }
    runner = ScriptRunner("pipeline")
    try:

        def stages(**more):
            (tmp_path / "pets.yaml").write_text(yaml.safe_dump({**values, **more}))
            assert runner("pets.yaml") == 0
            lines = [li for li in capsys.readouterr().out.splitlines() if li.startswith("stage ")]
            return ["skipped" not in line for line in lines]

        assert stages() == [True] * 7
        results = json.loads((tmp_path / "out/pets/results.json").read_text())
        assert results["images"] and "int8_accuracy" in results and results["c_agreement"] > 0.9
        assert (tmp_path / "out/pets/host/README.md").is_file()
        assert "Confusion" in (tmp_path / "out/pets/report.html").read_text()
        assert read_pipeline(tmp_path / "out/pets/pipeline.yaml") == read_pipeline(
            tmp_path / "pets.yaml"
        )
        assert stages() == [False] * 7
        assert json.loads((tmp_path / "out/pets/results.json").read_text()) == results
        # Another number of calibration images gives another int8 model, and all that follows.
        assert stages(quantization={"calibration_images": 8})[:3] == [False, True, True]
        assert stages(quantization={"calibration_images": 8}, report={"limit": 2}) == [
            False, False, False, False, True, False, True]  # fmt: skip
        # Interrupted in the middle of a stage, it is done again; a result of others is not.
        monkeypatch.setattr(pipeline, "compare", _interrupted)
        (tmp_path / "pets.yaml").write_text(yaml.safe_dump({**values, "report": {"limit": 3}}))
        assert runner("pets.yaml") == 130
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "ptq.npz").write_text("mine")
        (tmp_path / "pets.yaml").write_text(yaml.safe_dump({**values, "out": "other"}))
        monkeypatch.setitem(NETWORKS, "m0", tiny_classifier)
        assert runner("pets.yaml") == 2
        assert "this pipeline did not make it" in capsys.readouterr().err
        assert (tmp_path / "other" / "ptq.npz").read_text() == "mine"
    finally:
        runner.close()


def _interrupted(*arguments, **named):
    raise KeyboardInterrupt
