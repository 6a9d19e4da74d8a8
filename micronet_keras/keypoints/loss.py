"""What heatmaps are trained with: Gaussians around the true keypoints."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("micronet_keras")
class HeatmapLoss(keras.losses.Loss):
    """Squared distance to Gaussians of height 1, as a share of the Gaussians' own energy.

    A model that puts out zeros has a loss of 1 whatever the size of the maps. Gaussians are
    centred at the exact coordinates, not at the nearest cell, so that nothing has to be corrected
    when they are decoded. Keypoints of weight 0 (not labelled, or outside the crop) do not count.

    Args:
        sigma: standard deviation of the Gaussians in heatmap cells, above 0; the usual 2 is for
            maps of 64 x 48.

    y_true: float [B, keypoints, 3]: x and y in cells from the edge of the map, weight 0 or 1.
    y_pred: float [B, height, width, keypoints].

    Raises:
        ValueError: sigma is not above 0.
    """

    def __init__(self, sigma: float = 2.0, name="heatmap_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 < sigma < math.inf:
            raise ValueError(f"`sigma` must be above 0. Received: {sigma=}")
        self.sigma = sigma

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, y_pred.dtype)
        weights = y_true[..., 2]
        difference = y_pred - gaussians(y_true, y_pred.shape[1:3], self.sigma)
        energy = ops.sum(ops.square(difference), axis=(1, 2)) / (math.pi * self.sigma**2)
        return ops.sum(weights * energy, axis=-1) / ops.maximum(ops.sum(weights, axis=-1), 1)

    def get_config(self):
        return {**super().get_config(), "sigma": self.sigma}


def gaussians(keypoints, size: tuple[int, int], sigma: float):
    """[B, keypoints, 2 or more] of (x, y) in cells -> maps [B, height, width, keypoints]."""

    def along(position, length):
        centres = ops.arange(length, dtype=keypoints.dtype) + 0.5
        return ops.exp(-ops.square(centres - position[..., None]) / (2 * sigma**2))

    columns, rows = along(keypoints[..., 0], size[1]), along(keypoints[..., 1], size[0])
    rows = ops.transpose(rows, (0, 2, 1))[:, :, None, :]
    return rows * ops.transpose(columns, (0, 2, 1))[:, None, :, :]


@keras.saving.register_keras_serializable("micronet_keras")
class KeypointAccuracy(keras.metrics.Mean):
    """Share of the labelled keypoints whose peak lies near: the PCK of pose estimation.

    Near is within `share` of the map's height, measured to the centre of the cell with the largest
    value. y_true and y_pred as of `HeatmapLoss`.

    Args:
        share: above 0.

    Raises:
        ValueError: share is not above 0.
    """

    def __init__(self, share: float = 0.05, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 < share < math.inf:
            raise ValueError(f"`share` must be above 0. Received: {share=}")
        self.share = share

    def update_state(self, y_true, y_pred, sample_weight=None):
        _, height, width, keypoints = y_pred.shape
        y_true = ops.cast(y_true, y_pred.dtype)
        place = ops.argmax(ops.reshape(y_pred, (-1, height * width, keypoints)), axis=1)
        x = ops.cast(place % width, y_pred.dtype) + 0.5
        y = ops.cast(place // width, y_pred.dtype) + 0.5
        distance = ops.sqrt(ops.square(x - y_true[..., 0]) + ops.square(y - y_true[..., 1]))
        near = ops.cast(distance <= self.share * height, y_pred.dtype)
        return super().update_state(near, sample_weight=y_true[..., 2])

    def get_config(self):
        return {**super().get_config(), "share": self.share}
