// A stub: nothing of it is used by name.
