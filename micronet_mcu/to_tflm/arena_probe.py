"""Runs one model once on TFLM and prints its allocations.

A process of its own, since an arena that is too small can crash the interpreter.

Usage: python arena_probe.py ARENA_BYTES < model.tflite
"""

import sys

import numpy as np
from tflite_micro.python.tflite_micro import runtime

model = sys.stdin.buffer.read()
interpreter = runtime.Interpreter.from_bytes(model, arena_size=int(sys.argv[1]))
details = interpreter.get_input_details(0)
interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
interpreter.invoke()
interpreter.get_output(0)
interpreter.print_allocations()
