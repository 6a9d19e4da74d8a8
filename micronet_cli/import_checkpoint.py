"""Turns one of the authors' PyTorch checkpoints into a Keras file.

The authors host the ImageNet checkpoints of M0 to M3; their README links them:
https://github.com/liyunsheng13/micronet

    micronet import-checkpoint --model=m0 --checkpoint=micronet-m0.pth

puts the weights where `MicroNetM0(weights="imagenet")` looks for them. With --output=model.keras a
whole model is written instead. Needs torch: pip install "micronet-keras[torch]"
"""

from absl import flags

from micronet_cli import script
from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable, refuse_existing, replacing
from micronet_settings import NETWORKS

FLAGS = flags.FLAGS
flags.DEFINE_enum("model", None, NETWORKS, "Which network the checkpoint is of.")
flags.DEFINE_string("checkpoint", None, "The .pth file.")
flags.DEFINE_string(
    "output",
    None,
    "A .keras file (a whole model for 224 x 224 pixels) or a .weights.h5 file (weights alone). "
    'Without it: the place in Keras\' cache folder where weights="imagenet" looks.',
)
flags.DEFINE_integer("classes", 1000, "Classes of the checkpoint's classifier.", lower_bound=1)
flags.DEFINE_bool("force", False, "Replace an existing output.")
flags.mark_flags_as_required(["model", "checkpoint"])


def main(argv):
    del argv
    from micronet_keras.models import CONFIGS, MicroNet, imagenet_path, load_pytorch_checkpoint

    output = FLAGS.output or str(imagenet_path(FLAGS.model))
    if not output.endswith((".keras", ".weights.h5")):
        raise UserError(f"--output={output} must end in .keras or .weights.h5")
    if FLAGS.output is None and FLAGS.classes != 1000:
        raise UserError(
            f"--classes={FLAGS.classes} is not ImageNet's number: name another place with --output"
        )
    refuse_existing(output, FLAGS.force)
    check_writable(output)
    model = MicroNet(CONFIGS[FLAGS.model], classes=FLAGS.classes)
    load_pytorch_checkpoint(model, FLAGS.checkpoint)
    with replacing(output, FLAGS.force) as temporary:
        if output.endswith(".keras"):
            model.save(temporary)
        else:
            model.save_weights(temporary)
    print(f"{output}: {model.name} with the weights of {FLAGS.checkpoint}")


def run():
    script.run(main)
