"""Import of PyTorch checkpoints: exact, all or nothing, and the command around it."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import small_micronet
import synthetic
from optional import require
from script_runner import ScriptRunner

from micronet_keras import load_pytorch_checkpoint
from micronet_keras.models import CONFIGS, MicroNet, load_state_dict
from micronet_keras.models.pytorch import read_state_dict
from micronet_mcu.errors import UserError


@pytest.fixture(scope="module")
def model():
    return small_micronet.small_micronet()


@pytest.fixture(scope="module")
def state(model):
    return synthetic.state_dict(model)


def weights(model):
    return [np.array(w) for w in model.weights]


def assert_equal_weights(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


class TestStateDict:
    @pytest.mark.slow
    def test_has_the_authors_names(self):
        model = MicroNet(CONFIGS["m3"], (32, 32, 3), classes=10)
        shapes = {name: value.shape for name, value in synthetic.state_dict(model).items()}
        assert shapes["features.0.stem.0.conv.0.weight"] == (4, 3, 3, 1)
        assert shapes["features.0.stem.0.conv.2.weight"] == (12, 1, 1, 3)
        assert shapes["features.1.layers.0.conv.0.weight"] == (24, 1, 3, 1)
        assert shapes["features.3.layers.1.fc.2.weight"] == (384, 12)
        assert shapes["features.4.layers.0.conv.0.weight"] == (144, 4, 1, 1)
        assert shapes["features.4.layers.7.conv.1.running_mean"] == (32,)
        assert shapes["features.12.layers.0.conv.0.weight"] == (864, 12, 1, 1)
        assert shapes["classifier.0.linear.0.weight"] == (1024, 864)
        assert shapes["classifier.2.linear.1.running_var"] == (10,)
        assert not any(name.startswith("features.12.layers.1") for name in shapes)

    @pytest.mark.slow
    def test_is_loaded_into_every_weight(self, state):
        model = small_micronet.small_micronet()
        before = weights(model)
        counters = {"features.0.stem.0.conv.1.num_batches_tracked": np.zeros((), "int64")}
        load_state_dict(model, state | counters)
        for old, new in zip(before, model.weights, strict=True):
            assert not np.array_equal(old, new), new.path

    def test_turns_kernels_the_right_way(self, model, state):
        load_state_dict(model, state)
        block = model.get_layer("block1")
        kernel = state["features.1.layers.0.conv.0.weight"]
        # Output channel i * c1 + j of a depthwise convolution is the j-th of input channel i.
        np.testing.assert_array_equal(
            block.depthwise.vertical_kernel[:, 0, 1, 1], kernel[3, 0, :, 0]
        )
        kernel = state["features.1.layers.4.conv.0.weight"]
        np.testing.assert_array_equal(block.squeeze.kernel[0, 0, :, 5], kernel[5, :, 0, 0])
        dense = state["classifier.2.linear.0.weight"]
        np.testing.assert_array_equal(model.get_layer("logits_dense").kernel, dense.T)

    def test_that_does_not_fit_is_listed_and_changes_nothing(self, model, state):
        before = weights(model)
        wrong = dict(state)
        del wrong["features.2.layers.4.conv.0.weight"]
        wrong["features.9.layers.0.conv.0.weight"] = np.zeros((1, 1, 1, 1), "float32")
        wrong["classifier.0.linear.0.bias"] = np.zeros(3, "float32")
        bad = wrong["classifier.0.linear.1.bias"].copy()
        bad[0] = np.nan
        wrong["classifier.0.linear.1.bias"] = bad
        with pytest.raises(UserError) as caught:
            load_state_dict(model, wrong)
        message = str(caught.value)
        assert "\n" not in message
        assert "missing features.2.layers.4.conv.0.weight" in message
        assert "unknown features.9.layers.0.conv.0.weight" in message
        assert "classifier.0.linear.0.bias has shape (3,) instead of (16,)" in message
        assert "classifier.0.linear.1.bias holds values that are not finite" in message
        assert_equal_weights(weights(model), before)

    def test_of_other_classes_leaves_the_head_on_request(self, state):
        model = small_micronet.small_micronet(classes=7)
        head = model.get_layer("logits_dense").get_weights()
        with pytest.raises(UserError, match="other classes .* skip_head.*has shape"):
            load_state_dict(model, state)
        load_state_dict(model, state, skip_head=True)
        assert_equal_weights(model.get_layer("logits_dense").get_weights(), head)
        hidden = state["classifier.0.linear.0.weight"]
        np.testing.assert_array_equal(model.get_layer("hidden_dense").kernel, hidden.T)

    def test_fits_a_model_without_top_on_request(self, state):
        model = small_micronet.small_micronet(include_top=False)
        with pytest.raises(UserError, match="skip_head.*unknown classifier"):
            load_state_dict(model, state)
        load_state_dict(model, state, skip_head=True)
        kernel = state["features.1.layers.4.conv.0.weight"]
        np.testing.assert_array_equal(
            model.get_layer("block1").squeeze.kernel[0, 0], kernel[..., 0, 0].T
        )

    def test_of_another_model_is_refused(self):
        other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="other")
        with pytest.raises(ValueError, match="MicroNet model is expected. Received: model=other"):
            load_state_dict(other, {})


class TestCheckpoint:
    @pytest.fixture
    def torch(self):
        require("torch")
        import torch

        return torch

    @pytest.fixture
    def tensors(self, torch, state):
        return {name: torch.from_numpy(value) for name, value in state.items()}

    @pytest.mark.parametrize(
        "form",
        [
            lambda tensors: tensors,
            lambda tensors: {"epoch": 3, "state_dict": tensors, "best_prec1": 46.6},
            lambda tensors: {f"module.{name}": value for name, value in tensors.items()},
            lambda tensors: {"state_dict": {f"module.{n}": v for n, v in tensors.items()}},
        ],
        ids=["plain", "nested", "parallel", "nested parallel"],
    )
    def test_of_every_form_gives_the_same_model(self, form, torch, tensors, state, model, tmp_path):
        torch.save(form(tensors), tmp_path / "checkpoint.pth")
        load_state_dict(model, state)
        wanted = weights(model)
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        load_pytorch_checkpoint(model, tmp_path / "checkpoint.pth")
        assert_equal_weights(weights(model), wanted)

    def test_names_the_file_that_does_not_fit(self, torch, tensors, model, tmp_path):
        before = weights(model)
        del tensors["classifier.0.linear.0.bias"]
        torch.save(tensors, tmp_path / "thin.pth")
        with pytest.raises(UserError, match="thin.pth does not fit small.*missing classifier.0"):
            load_pytorch_checkpoint(model, tmp_path / "thin.pth")
        assert_equal_weights(weights(model), before)

    @pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
    def test_that_is_truncated_is_refused(self, kept, torch, tensors, model, tmp_path):
        path = tmp_path / "cut.pth"
        torch.save(tensors, path)
        content = path.read_bytes()
        path.write_bytes(content[: int(kept * len(content)) if kept in (0.5, 0.99) else kept])
        before = weights(model)
        with pytest.raises(UserError, match="cut.pth is not a PyTorch checkpoint or is damaged"):
            load_pytorch_checkpoint(model, path)
        assert_equal_weights(weights(model), before)

    def test_that_would_run_code_is_refused(self, torch, model, tmp_path):
        torch.save({"state_dict": Path("anything")}, tmp_path / "code.pth")
        with pytest.raises(UserError, match="code.pth is not a PyTorch checkpoint"):
            load_pytorch_checkpoint(model, tmp_path / "code.pth")

    def test_that_is_damaged_anywhere_is_refused(self, torch, tensors, tmp_path):
        """Whatever pickle, zipfile and torch raise: one line that names the file."""
        rng = np.random.default_rng(0)
        for form in (True, False):
            path = tmp_path / "damaged.pth"
            torch.save(dict(list(tensors.items())[:4]), path, _use_new_zipfile_serialization=form)
            content = path.read_bytes()
            for _ in range(150):
                damaged = bytearray(content)
                for place in rng.integers(0, len(content), rng.integers(1, 6)):
                    damaged[place] = rng.integers(256)
                path.write_bytes(damaged[: rng.integers(1, len(content) + 1)])
                try:
                    read_state_dict(path)
                except UserError as error:
                    assert "damaged.pth" in str(error) and "\n" not in str(error)

    @pytest.mark.parametrize(
        "make",
        [
            lambda torch: torch.eye(3).to_sparse(),
            lambda torch: torch.ones(3, device="meta"),
            lambda torch: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            lambda torch: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
            lambda torch: torch.ones(1, dtype=torch.float16).expand(1 << 50),
        ],
        ids=["sparse", "meta", "quantized", "nested", "larger than memory"],
    )
    def test_of_other_tensors_is_refused(self, make, torch, model, tmp_path):
        torch.save({"a": make(torch)}, tmp_path / "odd.pth")
        with pytest.raises(UserError, match="odd.pth") as caught:
            load_pytorch_checkpoint(model, tmp_path / "odd.pth")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("content", [[1, 2], {}, {"lr": 0.1}, {"state_dict": {"lr": 0.1}}])
    def test_without_tensors_is_refused(self, content, torch, model, tmp_path):
        torch.save(content, tmp_path / "empty.pth")
        with pytest.raises(UserError, match="empty.pth holds no state dict"):
            load_pytorch_checkpoint(model, tmp_path / "empty.pth")

    def test_that_is_no_file_is_refused(self, torch, model, tmp_path):
        for wrong in (tmp_path, tmp_path / "gone.pth"):
            with pytest.raises(UserError, match=f"{wrong} is not a file"):
                load_pytorch_checkpoint(model, wrong)


def test_without_torch_the_error_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r'pip install "micronet-keras\[torch\]"'):
        load_pytorch_checkpoint(model, tmp_path / "checkpoint.pth")


class TestCommand:
    @pytest.fixture
    def command(self):
        require("torch")
        runner = ScriptRunner("import_checkpoint")
        yield runner
        runner.close()

    @pytest.fixture(autouse=True)
    def home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)

    @pytest.mark.slow
    def test_puts_the_weights_where_imagenet_looks(self, command, tmp_path, capsys):
        import torch

        model = MicroNet(CONFIGS["m0"])
        state = synthetic.state_dict(model)
        path = tmp_path / "micronet-m0.pth"
        torch.save({name: torch.from_numpy(value) for name, value in state.items()}, path)
        assert command("--model=m0", f"--checkpoint={path}") == 0
        load_state_dict(model, state)
        found = MicroNet(CONFIGS["m0"], weights="imagenet")
        assert_equal_weights(weights(found), weights(model))

        capsys.readouterr()
        assert command("--model=m0", f"--checkpoint={path}") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert "micronet_m0_imagenet.weights.h5 exists already" in line

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ("--model=m0", "checkpoint"),
            ("--model=m9 --checkpoint=x", "m9"),
            ("--model=m0 --checkpoint=gone.pth", "gone.pth is not a file"),
            ("--model=m0 --checkpoint=x --output=x.h5", "x.h5 must end in .keras or .weights.h5"),
            ("--model=m0 --checkpoint=x --classes=10", "--classes=10 is not ImageNet's number"),
        ],
    )
    def test_refuses_mistakes_and_writes_nothing(
        self, arguments, complaint, command, tmp_path, capsys
    ):
        assert command(*arguments.split()) == 2
        assert complaint in capsys.readouterr().err
        assert not list(tmp_path.rglob("*.h5"))
