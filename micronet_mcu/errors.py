"""What a user can mend: errors, and warnings."""


class UserError(ValueError):
    """A mistake in what the user gave: a flag, a file, a folder, a dataset.

    The message is one line that names the file or the value and the way out. An argument stands in
    back quotes, `force=True`, and a command as micronet quantize. The command line prints it as
    ``error: ...``, with --force and the command as it was called, and exits with status 2; from
    Python it is an ordinary ValueError.
    """

    def __init__(self, message: str):
        # A name in it may come from a file, with any character.
        super().__init__(" ".join(message.splitlines()))


class Doubt(UserWarning):
    """What the user gave looks like a mistake, and the work goes on.

    The message is one line that names what is odd, the likeliest reason and the way out. The
    command line prints it as ``warning: ...``.
    """
