"""The commands of the Keras side; `scripts/` has a front door to each."""
