// The serial protocol of the firmware, in the style of the EEMBC runner of MLPerf Tiny.
//
// A command ends with '%'. Every answer is a line that begins with "m-" (message) or "e-" (error),
// and every command's last line is "m-ready" or, when it failed, "e-[what is wrong]".
//
//   name%          m-name-dut-[model's name]
//   profile%       m-profile-[micronet 1], m-model-[name], m-input-[height,width,channels],
//                  m-classes-[n], m-arena-[bytes in use,bytes it was exported with]
//   db load N%     expects an image of N bytes, pixels 0 to 255, which must be what the model takes
//   db HEX%        the next bytes, two digits each, at most kMostHexBytes at a time; after the last:
//                  m-load-done-[CRC-32 of the image, eight digits]
//   infer N W%     runs the loaded image W times to warm up and N times measured; m-lap-us-T before
//                  and after the N runs (a clock of 32 bits, microseconds)
//   results%       m-results-[q,q,...] the output as stored, after infer
//   top K%         m-top-[index:score:label] K times, after infer
//   camera%        takes a picture and loads it
//   test%          runs the built-in test image: m-test-[largest difference,same class]
//
// Garbage is answered with an error and forgotten at the next '%', or after a second of silence. An
// image that was not sent completely and without error is never run: infer says so.
#ifndef MICRONET_PROTOCOL_H_
#define MICRONET_PROTOCOL_H_

#include "runtime.h"

namespace micronet {

constexpr int kMostHexBytes = 64;
constexpr uint32_t kSilenceMicros = 1000000;
constexpr int kMostTop = 5;

class Protocol {
 public:
  // `image`: info.input_bytes() bytes, where the received image stays: running a model destroys its
  // input, and `infer` runs it many times.
  Protocol(const ModelInfo &info, Runtime &runtime, int8_t *image)
      : info_(info), runtime_(runtime), image_(image) {}

  // Initialises the model and says so: m-init-done, or the error. A board without a working model
  // answers on; every command that needs the model repeats the error.
  void Start();

  // Takes one received byte.
  void Feed(uint8_t byte);

  // To be called when nothing is waiting: drops half a command after a second of silence.
  void Idle();

 private:
  enum class Loaded : uint8_t { kNothing, kPart, kAll };

  void Run();
  void Name();
  void Profile();
  void Db(const char *argument);
  void DbLoad(const char *argument);
  void DbHex(const char *digits);
  void Infer(const char *argument);
  void Results();
  void Top(const char *argument);
  void Camera();
  void Test();
  bool Ready();
  Status RunOn(const int8_t *image);
  void Fail(const char *reason);
  void Fail(const Status &status);

  const ModelInfo &info_;
  Runtime &runtime_;
  int8_t *image_;
  Status status_;  // of Start
  Loaded loaded_ = Loaded::kNothing;
  int received_ = 0;       // bytes of the image
  bool inferred_ = false;  // the output belongs to the loaded image
  bool overlong_ = false;
  int length_ = 0;
  uint32_t last_byte_ = 0;
  char command_[2 * kMostHexBytes + 8];
};

}  // namespace micronet

#endif  // MICRONET_PROTOCOL_H_
