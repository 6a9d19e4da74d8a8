"""The constants of a detector as a C header, for `tflm/detection/micronet_detection.c`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from micronet_mcu import csource
from micronet_mcu.decode.detection import Int8Decoder
from micronet_mcu.errors import UserError


def detector_header(
    decoder: Int8Decoder, class_names: Sequence[str] = (), name: str = "model"
) -> str:
    """The text of a header with a `micronet_detector` called <name>_detector and its tables.

    Args:
        decoder: of the flatbuffer that the firmware runs.
        class_names: what the labels mean, as a comment beside each number; none or all.
        name: a C identifier, prefix of every name in the file.

    Raises:
        UserError: `name` is no identifier, or there are too few class names.
    """
    csource.check_prefix(name, "name of the C constants")
    if class_names and len(class_names) != decoder.classes:
        raise UserError(
            f"{len(class_names)} labels for {decoder.classes} classes; give one for each"
        )
    guard = f"{name.upper()}_DETECTOR_H_"
    tables = "\n".join(
        csource.array(
            f"static const uint16_t {name}_level{i}_{kind}[256]", np.asarray(getattr(level, kind))
        )
        for i, level in enumerate(decoder.levels)
        for kind in ("scores", "distances")
    )
    levels = "\n".join(
        f"    {{{item.level.height}, {item.level.width}, {item.level.stride}, "
        f"{name}_level{i}_scores, {name}_level{i}_distances}},"
        for i, item in enumerate(decoder.levels)
    )
    labels = "\n".join(
        f"/* label {i}: {csource.comment_text(text)} */" for i, text in enumerate(class_names)
    )
    height, width = decoder.image_size
    return f"""\
/* The detector {name!r}: what micronet_detect needs besides the outputs of the network.
 * The network's outputs are scores and boxes of each level in turn. */
#ifndef {guard}
#define {guard}

#include "micronet_detection.h"

{labels}
{tables}
static const micronet_detection_level {name}_levels[] = {{
{levels}
}};

static const micronet_detector {name}_detector = {{
    {height}, {width}, {decoder.classes}, {len(decoder.levels)}, {name}_levels}};

/* As the model was evaluated; see micronet_detection.h for the units. */
static const micronet_detection_selection {name}_selection = {{
    {decoder.selection.whole_score}, {decoder.selection.whole_overlap}, \
{decoder.selection.max_detections}}};
#define {name.upper()}_DETECTION_CANDIDATES {decoder.selection.max_candidates}

#endif  /* {guard} */
"""
