"""The commands of the int8 side, and what every command shares (`script`)."""
