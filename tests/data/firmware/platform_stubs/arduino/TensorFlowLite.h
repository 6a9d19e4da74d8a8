// A stub: arduino-cli finds the library by this header, which declares nothing.
