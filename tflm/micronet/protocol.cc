// The serial protocol: a line at a time, nothing trusted.
#include "protocol.h"

#include <cstring>

#include "answer.h"
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

// A line longer than the buffer goes out in pieces.
void SendPiece(Text &text) { BoardWrite(text.c_str(), text.length()); }

// "m-<name>-N"
void SendCount(const char *name, int32_t count) {
  char line[32];
  Text text(line, sizeof(line));
  Send(text.Add(name).Add(count));
}

void SendWord(const char *word) {
  char line[32];
  Text text(line, sizeof(line));
  Send(text.Add(word));
}

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

struct Protocol::Command {
  const char *word;
  void (Protocol::*run)(const char *argument);
  const char *help;
};

const Protocol::Command Protocol::kCommands[] = {
    {"name", &Protocol::Name, "the model's name"},
    {"profile", &Protocol::Profile, "what the model takes and gives"},
    {"timestamp", &Protocol::Timestamp, "the clock, microseconds"},
    {"help", &Protocol::Help, "this list"},
    {"db", &Protocol::Db, "load N | HEX | raw N | print: the image"},
    {"infer", &Protocol::Infer, "[N=1] [W=10]: N inferences after W to warm up"},
    {"results", &Protocol::Results, "the answer"},
    {"output", &Protocol::Output, "the model's outputs as stored"},
    {"top", &Protocol::Top, "K: the best classes"},
    {"camera", &Protocol::Camera, "takes a picture"},
    {"picture", &Protocol::Picture, "sends the image"},
    {"test", &Protocol::Test, "the built-in test"},
};

void Protocol::Start() {
  status_ = runtime_.Init();
  if (!status_.ok()) return Fail(status_);
  SendWord("m-init-done");
}

void Protocol::Feed(uint8_t byte) {
  last_byte_ = BoardMicros();
  if (raw_ > 0) {
    TakeRaw(byte);
  } else if (byte == '%') {
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
    // After the bytes of `db raw`, TakeRaw says it.
    if (raw_ == 0 && (overlong || !empty)) SendWord("m-ready");
  } else if (byte == '\r' || byte == '\n') {
    // People at a terminal press Enter.
  } else if (length_ + 1 < static_cast<int>(sizeof(command_))) {
    command_[length_++] = static_cast<char>(byte);
  } else {
    overlong_ = true;
  }
}

void Protocol::Idle() {
  const bool waiting = length_ > 0 || overlong_ || raw_ > 0;
  if (!waiting || BoardMicros() - last_byte_ <= kSilenceMicros) return;
  if (raw_ > 0) loaded_ = Loaded::kNothing;
  raw_ = 0;
  length_ = 0;
  overlong_ = false;
}

void Protocol::Run() {
  for (const Command &command : kCommands) {
    const char *argument = After(command_, command.word);
    if (argument != nullptr) return (this->*command.run)(argument);
  }
  // It may have been a part of an image.
  if (loaded_ == Loaded::kPart) loaded_ = Loaded::kNothing;
  Fail("unknown command");
}

void Protocol::Name(const char *) {
  char line[kLine];
  Text text(line, sizeof(line));
  Send(text.Add("m-name-dut-[").Add(info_.name).Add(']'));
}

void Protocol::Profile(const char *) {
  char line[kLine];
  Text text(line, sizeof(line));
  text.Add("m-profile-[micronet 2]\r\nm-model-[").Add(info_.name).Add("]\r\nm-input-[");
  text.Add(static_cast<int32_t>(info_.height)).Add(',').Add(static_cast<int32_t>(info_.width));
  text.Add(',').Add(static_cast<int32_t>(info_.channels)).Add("]\r\n");
  SendPiece(text);
  Text second(line, sizeof(line));
  second.Add("m-classes-[").Add(static_cast<int32_t>(info_.classes)).Add("]\r\nm-arena-[");
  second.Add(runtime_.arena_used()).Add(',').Add(info_.arena_bytes).Add("]\r\nm-raw-[");
  second.Add(static_cast<int32_t>(kMostRawBytes)).Add("]\r\nm-answer-[").Add(kAnswerKind);
  SendPiece(second.Add("]\r\n"));
  for (int i = 0; i < info_.outputs; ++i) {
    Text size(line, sizeof(line));
    SendPiece(size.Add(i == 0 ? "m-outputs-[" : ",").Add(info_.output_sizes[i]));
  }
  SendWord("]");
}

void Protocol::Timestamp(const char *) { SendLap(); }

void Protocol::Help(const char *) {
  for (const Command &command : kCommands) {
    char line[kLine];
    Text text(line, sizeof(line));
    Send(text.Add("m-help-[").Add(command.word).Add(": ").Add(command.help).Add(']'));
  }
}

void Protocol::Db(const char *argument) {
  const char *rest = nullptr;
  if ((rest = After(argument, "load"))) {
    DbLoad(rest);
  } else if ((rest = After(argument, "raw"))) {
    DbRaw(rest);
  } else if (After(argument, "print")) {
    DbPrint();
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
  LoadDone();
}

void Protocol::DbRaw(const char *argument) {
  const int32_t count = Number(argument);
  if (loaded_ != Loaded::kPart || count < 1 || count > kMostRawBytes || *argument != 0 ||
      count > info_.input_bytes() - received_) {
    loaded_ = Loaded::kNothing;
    return Fail("db raw takes the number of bytes that follow, after db load");
  }
  raw_ = count;
}

void Protocol::TakeRaw(uint8_t byte) {
  image_[received_++] = static_cast<int8_t>(byte - 128);
  if (--raw_ > 0) return;
  LoadDone();
  SendWord("m-ready");
}

void Protocol::LoadDone() {
  if (received_ < info_.input_bytes()) return;
  loaded_ = Loaded::kAll;
  char line[40];
  Text text(line, sizeof(line));
  Send(text.Add("m-load-done-[").AddHex(Crc32(image_, received_), 8).Add(']'));
}

void Protocol::DbPrint() {
  if (!HasImage()) return;
  constexpr int kBytes = 8;  // in a line
  for (int i = 0; i < info_.input_bytes(); i += kBytes) {
    char line[40];
    Text text(line, sizeof(line));
    text.Add("m-buffer");
    for (int j = i; j < i + kBytes && j < info_.input_bytes(); ++j) {
      text.Add('-').AddHex(static_cast<uint8_t>(image_[j] + 128), 2);
    }
    Send(text);
  }
}

bool Protocol::HasImage() {
  if (loaded_ != Loaded::kAll) Fail("no complete image is loaded");
  return loaded_ == Loaded::kAll;
}

bool Protocol::HasInferred() {
  if (!inferred_) Fail("nothing has been inferred");
  return inferred_;
}

Status Protocol::RunOn(const int8_t *image) {
  memcpy(runtime_.input(), image, static_cast<size_t>(info_.input_bytes()));
  return runtime_.Invoke();
}

void Protocol::Infer(const char *argument) {
  inferred_ = false;
  if (!status_.ok()) return Fail(status_);
  if (!HasImage()) return;
  const int32_t runs = *argument == 0 ? 1 : Number(argument);
  const int32_t warm_up = *argument == 0 ? 10 : Number(argument);
  if (runs < 1 || runs > kMostRuns || warm_up < 0 || warm_up > kMostRuns || *argument != 0) {
    return Fail("infer takes two numbers: runs, and runs to warm up");
  }
  Status status;
  SendCount("m-warmup-start-", warm_up);
  for (int i = 0; i < warm_up && status.ok(); ++i) status = RunOn(image_);
  SendWord("m-warmup-done");
  SendCount("m-infer-start-", runs);
  SendLap();
  for (int i = 0; i < runs && status.ok(); ++i) status = RunOn(image_);
  SendLap();
  SendWord("m-infer-done");
  if (!status.ok()) return Fail(status);
  inferred_ = true;
  SendAnswer(info_, runtime_);
}

void Protocol::Results(const char *) {
  if (HasInferred()) SendAnswer(info_, runtime_);
}

void Protocol::Output(const char *) {
  if (!HasInferred()) return;
  for (int i = 0; i < info_.outputs; ++i) {
    const int8_t *output = runtime_.output(i);
    for (int j = 0; j < info_.output_sizes[i]; ++j) {
      char line[32];
      Text text(line, sizeof(line));
      text.Add(j == 0 ? "m-output-[" : ",").Add(static_cast<int32_t>(output[j]));
      SendPiece(text);
    }
    SendWord("]");
  }
}

void Protocol::Top(const char *argument) {
  if (!HasInferred()) return;
  if (strcmp(kAnswerKind, "classes") != 0) return Fail("top is of classes; see results");
  const int32_t count = Number(argument);
  if (count < 1 || count > kMostTop || *argument != 0)
    return Fail("top takes a number from 1 to 5");
  Candidate best[kMostTop];
  const int found = TopK(runtime_.output(0), info_.classes, count, best);
  for (int i = 0; i < found; ++i) {
    char line[kLine];
    Text text(line, sizeof(line));
    text.Add("m-top-[").Add(static_cast<int32_t>(best[i].index)).Add(':');
    text.Add(static_cast<int32_t>(best[i].score)).Add(':');
    if (info_.labels != nullptr) text.Add(info_.labels[best[i].index]);
    SendPiece(text);
    SendWord("]");
  }
}

void Protocol::Camera(const char *) {
  loaded_ = Loaded::kNothing;
  inferred_ = false;
  Image picture;
  if (!BoardCapture(&picture)) return Fail({StatusCode::kNoCamera});
  const Status status =
      FillInput(picture, Crop(), info_.width, info_.height, info_.channels, image_);
  if (!status.ok()) return Fail(status);
  received_ = info_.input_bytes();
  LoadDone();
}

void Protocol::Picture(const char *) {
  if (!HasImage()) return;
  char line[64];
  Text text(line, sizeof(line));
  Send(text.Add("m-picture-[").Add(info_.input_bytes()).Add(']'));
  for (int i = 0; i < info_.input_bytes();) {
    char bytes[64];
    size_t count = 0;
    while (count < sizeof(bytes) && i < info_.input_bytes()) {
      bytes[count++] = static_cast<char>(image_[i++] + 128);
    }
    BoardWrite(bytes, count);
  }
}

void Protocol::Test(const char *) {
  inferred_ = false;
  if (!status_.ok()) return Fail(status_);
  const Status status = RunOn(info_.test_input);
  if (!status.ok()) return Fail(status);
  int32_t largest = 0;
  const int8_t *output = runtime_.output(0);
  for (int i = 0; i < info_.output_sizes[0]; ++i) {
    const int difference = output[i] - info_.test_output[i];
    if (difference > largest) largest = difference;
    if (-difference > largest) largest = -difference;
  }
  Candidate best[2];
  TopK(output, info_.output_sizes[0], 1, &best[0]);
  TopK(info_.test_output, info_.output_sizes[0], 1, &best[1]);
  char line[64];
  Text text(line, sizeof(line));
  Send(text.Add("m-test-[").Add(largest).Add(best[0].index == best[1].index ? ",yes]" : ",no]"));
}

void Protocol::Fail(const char *reason) {
  char line[kLine];
  Text text(line, sizeof(line));
  text.Add("e-[").Add(reason);
  SendPiece(text);
  SendWord("]");
}

void Protocol::Fail(const Status &status) {
  char line[kLine];
  Text text(line, sizeof(line));
  Describe(status, text);
  Fail(text.c_str());
}

}  // namespace micronet
