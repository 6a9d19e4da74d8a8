// A stub: what the Arduino template uses of the camera's library.
enum { QCIF = 3, RGB565 = 1, OV7675 = 1 };
struct StubCamera {
  int begin(int resolution, int format, int fps, int kind);
  int width() const;
  int height() const;
  void readFrame(void *buffer);
};
extern StubCamera Camera;
