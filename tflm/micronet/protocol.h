// The serial protocol of the firmware. MLPerf Tiny's runner (benchmark/runner of mlcommons/tiny) speaks
// to it unchanged; what that runner does not know is marked with +.
//
// A command ends with '%'. Every answer is lines that begin with "m-" (message) or "e-" (error), and
// the last line of every answer is "m-ready".
//
//   name%          m-name-dut-[model's name]
//   profile%       m-profile-[micronet 2], m-model-[name], + m-input-[height,width,channels],
//                  m-classes-[n], m-outputs-[values of each output], m-answer-[classes, objects or
//                  points], m-arena-[bytes in use,bytes it was exported with], m-raw-[most bytes of
//                  a db raw]
//   timestamp%     m-lap-us-T (a clock of 32 bits, microseconds)
//   help%          the commands
//   db load N%     expects an image of N bytes, pixels 0 to 255, which must be what the model takes
//   db HEX%        the next bytes, two digits each, at most kMostHexBytes at a time; after the last:
//                  m-load-done-[CRC-32 of the image, eight digits]
//   db raw N%      + the next N bytes follow the '%' as they are, at most kMostRawBytes
//   db print%      m-buffer-xx-xx-... the image, eight bytes a line
//   infer N W%     runs the loaded image W times (10) to warm up and N times (1) measured; m-lap-us-T
//                  before and after the N runs; then what `results` says
//   results%       the answer, after infer. Of classes: m-results-[p,p,...], a probability each.
//                  + Of a detector: m-object-[label,score,top,left,bottom,right] for each object; of
//                  a keypoint model: m-point-[kind,score,x,y] for each point. Scores in 1/65535,
//                  places in 1/16 pixel of the model's image.
//   output%        + m-output-[q,q,...] for each output of the model, as stored, after infer
//   top K%         + m-top-[index:score:label] K times, after infer; of classes only
//   camera%        + takes a picture and loads it
//   picture%       + m-picture-[N], and after that line the N bytes of the loaded image as they are
//   test%          + runs the built-in test image: m-test-[largest difference,same class] of the
//                  first output
//
// When it starts it says m-init-done and no m-ready: a runner that opens the line late would take it
// for the answer to its first command.
//
// Garbage is answered with an error and forgotten at the next '%', or after a second of silence. An
// image that was not sent completely and without error is never run: infer says so.
#ifndef MICRONET_PROTOCOL_H_
#define MICRONET_PROTOCOL_H_

#include "runtime.h"

namespace micronet {

constexpr int kMostHexBytes = 64;
constexpr int kMostRawBytes = 4096;
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

  // To be called when nothing is waiting: drops half a command, and what is missing of raw bytes,
  // after a second of silence.
  void Idle();

 private:
  enum class Loaded : uint8_t { kNothing, kPart, kAll };

  struct Command;
  static const Command kCommands[];

  void Run();
  void Name(const char *argument);
  void Profile(const char *argument);
  void Timestamp(const char *argument);
  void Help(const char *argument);
  void Db(const char *argument);
  void DbLoad(const char *argument);
  void DbHex(const char *digits);
  void DbRaw(const char *argument);
  void DbPrint();
  void TakeRaw(uint8_t byte);
  void LoadDone();
  void Infer(const char *argument);
  void Results(const char *argument);
  void Output(const char *argument);
  void Top(const char *argument);
  void Camera(const char *argument);
  void Picture(const char *argument);
  void Test(const char *argument);
  bool HasInferred();
  bool HasImage();
  Status RunOn(const int8_t *image);
  void Fail(const char *reason);
  void Fail(const Status &status);

  const ModelInfo &info_;
  Runtime &runtime_;
  int8_t *image_;
  Status status_;  // of Start
  Loaded loaded_ = Loaded::kNothing;
  int received_ = 0;       // bytes of the image
  int raw_ = 0;            // bytes that follow as they are
  bool inferred_ = false;  // the output belongs to the loaded image
  bool overlong_ = false;
  int length_ = 0;
  uint32_t last_byte_ = 0;
  char command_[2 * kMostHexBytes + 8];
};

}  // namespace micronet

#endif  // MICRONET_PROTOCOL_H_
