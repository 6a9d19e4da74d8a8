"""The four networks against outputs of the authors' PyTorch model, block by block."""

import keras
import numpy as np
import pytest
import synthetic

from micronet_keras.models import CONFIGS, MicroNet
from micronet_keras.models.pytorch import load_state_dict


@pytest.mark.slow
@pytest.mark.parametrize("size", sorted(CONFIGS))
def test_every_block_and_the_logits_equal_the_reference(size):
    model = MicroNet(CONFIGS[size])
    stored = synthetic.reference(size)
    load_state_dict(model, synthetic.reference_state_dict(model, stored))

    blocks = [layer for layer in model.layers if layer.name.startswith("block")]
    # A row's output is the squeezed tensor of the block it ends in; the last row is an expansion.
    rows = [model.get_layer("stem_relu6").output]
    rows += [b.output[1] if isinstance(b.output, list | tuple) else b.output for b in blocks]
    rows.append(blocks[-1].output[0])
    pooled = model.get_layer("avg_pool_hard_swish").output
    *rows, pooled, logits = keras.Model(model.input, [*rows, pooled, model.output]).predict(
        synthetic.reference_images(), verbose=0
    )

    assert sum(key.endswith("/corner") for key in stored) == len(rows)
    for i, row in enumerate(rows):
        close = {"rtol": 1e-4, "atol": 2e-5, "err_msg": f"features[{i}]"}
        mean, std = stored[f"block{i}/mean_per_channel"], stored[f"block{i}/std_per_channel"]
        np.testing.assert_allclose(row.mean(axis=(0, 1, 2)), mean, **close)
        np.testing.assert_allclose(row.std(axis=(0, 1, 2)), std, **close)
        corner = row[0, :2, :2].transpose(2, 0, 1)
        if i == len(rows) - 1:
            # The head's ReLU6 worked in place on what the stored corner is a view of.
            corner = corner.clip(0, 6)
        np.testing.assert_allclose(corner, stored[f"block{i}/corner"], **close)
    np.testing.assert_allclose(pooled, stored["pooled"], atol=1e-5)
    np.testing.assert_allclose(logits, stored["logits"], atol=1e-4)
    # The logits are far from constant, or agreement would mean little.
    assert stored["logits"].std() > 0.1
