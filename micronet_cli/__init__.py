"""The command line: one command `micronet`, whose sub-commands are the table in `commands`.

A module a command, with its flags and its help. It imports at the top what can be imported at once;
Keras and TensorFlow come in when the flags are read and the work begins.
"""
