// The serial protocol: a line at a time, nothing trusted.
#include "protocol.h"

#include <cstring>

#include "board.h"
#include "image.h"
#include "text.h"
#include "top_k.h"

namespace micronet {
namespace {

constexpr size_t kLine = 160;
constexpr int kMostRuns = 100000;

void Send(Text &text) {
  text.Add("\r\n");
  BoardWrite(text.c_str(), text.length());
}

void SendReady() {
  char line[16];
  Text text(line, sizeof(line));
  Send(text.Add("m-ready"));
}

// A line longer than the buffer goes out in pieces.
void SendPiece(Text &text) { BoardWrite(text.c_str(), text.length()); }

void SendLap() {
  char line[32];
  Text text(line, sizeof(line));
  Send(text.Add("m-lap-us-").Add(BoardMicros()));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads a whole number of at most nine digits and moves `text` behind it and the blanks that
// follow; -1 if there is none.
int32_t Number(const char *&text) {
  int32_t value = 0;
  int digits = 0;
  for (; *text >= '0' && *text <= '9' && digits < 9; ++text, ++digits) {
    value = value * 10 + (*text - '0');
  }
  while (*text == ' ') ++text;
  return digits > 0 ? value : -1;
}

// What follows `word` in `text`, or nullptr if it does not begin with the word.
const char *After(const char *text, const char *word) {
  const size_t length = strlen(word);
  if (strncmp(text, word, length) != 0) return nullptr;
  text += length;
  if (*text != 0 && *text != ' ') return nullptr;
  while (*text == ' ') ++text;
  return text;
}

uint32_t Crc32(const int8_t *pixels, int count) {
  uint32_t crc = 0xFFFFFFFFu;
  for (int i = 0; i < count; ++i) {
    crc ^= static_cast<uint8_t>(pixels[i] + 128);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
  }
  return ~crc;
}

}  // namespace

void Protocol::Start() {
  status_ = runtime_.Init();
  if (!status_.ok()) return Fail(status_);
  char line[16];
  Text text(line, sizeof(line));
  Send(text.Add("m-init-done"));
  SendReady();
}

void Protocol::Feed(uint8_t byte) {
  last_byte_ = BoardMicros();
  if (byte == '%') {
    command_[length_] = 0;
    const bool overlong = overlong_;
    const bool empty = length_ == 0;
    length_ = 0;
    overlong_ = false;
    if (overlong) {
      loaded_ = Loaded::kNothing;
      Fail("command too long");
    } else if (!empty) {
      Run();
    }
  } else if (byte == '\r' || byte == '\n') {
    // People at a terminal press Enter.
  } else if (length_ + 1 < static_cast<int>(sizeof(command_))) {
    command_[length_++] = static_cast<char>(byte);
  } else {
    overlong_ = true;
  }
}

void Protocol::Idle() {
  if ((length_ > 0 || overlong_) && BoardMicros() - last_byte_ > kSilenceMicros) {
    length_ = 0;
    overlong_ = false;
  }
}

void Protocol::Run() {
  const char *argument = nullptr;
  if (After(command_, "name")) {
    Name();
  } else if (After(command_, "profile")) {
    Profile();
  } else if ((argument = After(command_, "db"))) {
    Db(argument);
  } else if ((argument = After(command_, "infer"))) {
    Infer(argument);
  } else if (After(command_, "results")) {
    Results();
  } else if ((argument = After(command_, "top"))) {
    Top(argument);
  } else if (After(command_, "camera")) {
    Camera();
  } else if (After(command_, "test")) {
    Test();
  } else {
    // It may have been a part of an image.
    if (loaded_ == Loaded::kPart) loaded_ = Loaded::kNothing;
    Fail("unknown command");
  }
}

void Protocol::Name() {
  char line[kLine];
  Text text(line, sizeof(line));
  Send(text.Add("m-name-dut-[").Add(info_.name).Add(']'));
  SendReady();
}

void Protocol::Profile() {
  char line[kLine];
  Text text(line, sizeof(line));
  text.Add("m-profile-[micronet 1]\r\nm-model-[").Add(info_.name).Add("]\r\nm-input-[");
  text.Add(static_cast<int32_t>(info_.height)).Add(',').Add(static_cast<int32_t>(info_.width));
  text.Add(',').Add(static_cast<int32_t>(info_.channels)).Add("]\r\n");
  SendPiece(text);
  Text second(line, sizeof(line));
  second.Add("m-classes-[").Add(static_cast<int32_t>(info_.classes)).Add("]\r\nm-arena-[");
  Send(second.Add(runtime_.arena_used()).Add(',').Add(info_.arena_bytes).Add(']'));
  SendReady();
}

void Protocol::Db(const char *argument) {
  const char *size = After(argument, "load");
  if (size != nullptr) {
    DbLoad(size);
  } else {
    DbHex(argument);
  }
}

void Protocol::DbLoad(const char *argument) {
  loaded_ = Loaded::kNothing;
  inferred_ = false;
  const int32_t size = Number(argument);
  char line[kLine];
  Text text(line, sizeof(line));
  if (size != info_.input_bytes() || *argument != 0) {
    text.Add("db load takes ").Add(info_.input_bytes()).Add(" bytes here");
    return Fail(text.c_str());
  }
  loaded_ = Loaded::kPart;
  received_ = 0;
  Send(text.Add("m-[Expecting ").Add(size).Add(" bytes]"));
  SendReady();
}

void Protocol::DbHex(const char *digits) {
  if (loaded_ != Loaded::kPart) {
    loaded_ = Loaded::kNothing;
    return Fail("no image is being loaded; begin with db load");
  }
  const int count = static_cast<int>(strlen(digits)) / 2;
  bool good = count > 0 && strlen(digits) % 2 == 0 && count <= info_.input_bytes() - received_;
  for (int i = 0; i < count && good; ++i) {
    const int high = HexDigit(digits[2 * i]), low = HexDigit(digits[2 * i + 1]);
    good = high >= 0 && low >= 0;
    if (good) image_[received_ + i] = static_cast<int8_t>(high * 16 + low - 128);
  }
  if (!good) {
    loaded_ = Loaded::kNothing;
    return Fail("not hexadecimal, or more than the image; begin again with db load");
  }
  received_ += count;
  if (received_ == info_.input_bytes()) {
    loaded_ = Loaded::kAll;
    char line[40];
    Text text(line, sizeof(line));
    Send(text.Add("m-load-done-[").AddHex(Crc32(image_, received_), 8).Add(']'));
  }
  SendReady();
}

bool Protocol::Ready() {
  if (!status_.ok()) {
    Fail(status_);
  } else if (loaded_ != Loaded::kAll) {
    Fail("no complete image is loaded");
  } else {
    return true;
  }
  return false;
}

Status Protocol::RunOn(const int8_t *image) {
  memcpy(runtime_.input(), image, static_cast<size_t>(info_.input_bytes()));
  return runtime_.Invoke();
}

void Protocol::Infer(const char *argument) {
  inferred_ = false;
  if (!Ready()) return;
  const int32_t runs = Number(argument);
  const int32_t warm_up = Number(argument);
  if (runs < 1 || runs > kMostRuns || warm_up < 0 || warm_up > kMostRuns || *argument != 0) {
    return Fail("infer takes two numbers: runs, and runs to warm up");
  }
  Status status;
  for (int i = 0; i < warm_up && status.ok(); ++i) status = RunOn(image_);
  SendLap();
  for (int i = 0; i < runs && status.ok(); ++i) status = RunOn(image_);
  SendLap();
  if (!status.ok()) return Fail(status);
  inferred_ = true;
  SendReady();
}

void Protocol::Results() {
  if (!inferred_) return Fail("nothing has been inferred");
  const int8_t *output = runtime_.output();
  char line[32];
  for (int i = 0; i < info_.classes; ++i) {
    Text text(line, sizeof(line));
    text.Add(i == 0 ? "m-results-[" : ",").Add(static_cast<int32_t>(output[i]));
    SendPiece(text);
  }
  Text end(line, sizeof(line));
  Send(end.Add(']'));
  SendReady();
}

void Protocol::Top(const char *argument) {
  if (!inferred_) return Fail("nothing has been inferred");
  const int32_t count = Number(argument);
  if (count < 1 || count > kMostTop || *argument != 0)
    return Fail("top takes a number from 1 to 5");
  Candidate best[kMostTop];
  const int found = TopK(runtime_.output(), info_.classes, count, best);
  for (int i = 0; i < found; ++i) {
    char line[kLine];
    Text text(line, sizeof(line));
    text.Add("m-top-[").Add(static_cast<int32_t>(best[i].index)).Add(':');
    text.Add(static_cast<int32_t>(best[i].score)).Add(':');
    if (info_.labels != nullptr) text.Add(info_.labels[best[i].index]);
    SendPiece(text);
    Text end(line, sizeof(line));
    Send(end.Add(']'));
  }
  SendReady();
}

void Protocol::Camera() {
  loaded_ = Loaded::kNothing;
  inferred_ = false;
  Image picture;
  if (!BoardCapture(&picture)) return Fail({StatusCode::kNoCamera});
  const Status status =
      FillInput(picture, Crop(), info_.width, info_.height, info_.channels, image_);
  if (!status.ok()) return Fail(status);
  loaded_ = Loaded::kAll;
  SendReady();
}

void Protocol::Test() {
  inferred_ = false;
  if (!status_.ok()) return Fail(status_);
  const Status status = RunOn(info_.test_input);
  if (!status.ok()) return Fail(status);
  int32_t largest = 0;
  const int8_t *output = runtime_.output();
  for (int i = 0; i < info_.classes; ++i) {
    const int difference = output[i] - info_.test_output[i];
    if (difference > largest) largest = difference;
    if (-difference > largest) largest = -difference;
  }
  Candidate best[2];
  TopK(output, info_.classes, 1, &best[0]);
  TopK(info_.test_output, info_.classes, 1, &best[1]);
  char line[64];
  Text text(line, sizeof(line));
  Send(text.Add("m-test-[").Add(largest).Add(best[0].index == best[1].index ? ",yes]" : ",no]"));
  SendReady();
}

void Protocol::Fail(const char *reason) {
  char line[kLine];
  Text text(line, sizeof(line));
  text.Add("e-[").Add(reason);
  SendPiece(text);
  Text end(line, sizeof(line));
  Send(end.Add(']'));
}

void Protocol::Fail(const Status &status) {
  char line[kLine];
  Text text(line, sizeof(line));
  Describe(status, text);
  Fail(text.c_str());
}

}  // namespace micronet
