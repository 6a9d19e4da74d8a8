"""What every writer of C source has to mind about text that comes from elsewhere."""


def comment_text(text: str) -> str:
    """Text from a file or a user as it may stand inside a C comment, on one line.

    Names of layers and classes come from files that nobody vouches for; what ended the comment
    would be compiled. Without stars a comment neither ends nor begins again; backslashes and
    question marks could splice lines or make trigraphs.

    Example:

    >>> comment_text("block1/depthwise */ abort(); /*")
    'block1/depthwise _/ abort(); /_'
    """
    return "".join(c if c.isprintable() and c not in "*\\?" else "_" for c in text)
