"""MicroNet (ICCV 2021) in Keras, from images to an int8 model on a microcontroller."""
