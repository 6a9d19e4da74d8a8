// The five functions of board.h, on the bare metal: a UART and SysTick.
#include "board.h"

#include "firmware.h"

namespace micronet {
namespace {

volatile uint32_t &Register(uint32_t address) {
  return *reinterpret_cast<volatile uint32_t *>(address);
}

#if defined(BOARD_UART_CMSDK)  // Arm's: the MPS2 and MPS3 boards

void UartInit() {
  Register(BOARD_UART + 0x10) = BOARD_MHZ * 1000000 / 115200;
  Register(BOARD_UART + 0x08) = 3;  // send, receive
}
bool UartHas() { return (Register(BOARD_UART + 0x04) & 2) != 0; }
uint8_t UartGet() { return static_cast<uint8_t>(Register(BOARD_UART)); }
void UartPut(char byte) {
  while ((Register(BOARD_UART + 0x04) & 1) != 0) {
  }
  Register(BOARD_UART) = static_cast<uint8_t>(byte);
}

#elif defined(BOARD_UART_NRF51)  // Nordic's: the micro:bit

void UartInit() {
  Register(BOARD_UART + 0x500) = 4;           // on
  Register(BOARD_UART + 0x524) = 0x01D7E000;  // 115200 baud
  Register(BOARD_UART + 0x000) = 1;           // receive
  Register(BOARD_UART + 0x008) = 1;           // send
}
bool UartHas() { return Register(BOARD_UART + 0x108) != 0; }
uint8_t UartGet() {
  Register(BOARD_UART + 0x108) = 0;
  return static_cast<uint8_t>(Register(BOARD_UART + 0x518));
}
void UartPut(char byte) {
  Register(BOARD_UART + 0x11C) = 0;
  Register(BOARD_UART + 0x51C) = static_cast<uint8_t>(byte);
  while (Register(BOARD_UART + 0x11C) == 0) {
  }
}

#endif

constexpr uint32_t kControl = 0xE000E010, kReload = 0xE000E014, kValue = 0xE000E018;
constexpr uint32_t kTicks = BOARD_MHZ * 100000;  // a tenth of a second

volatile uint32_t tenths = 0;

}  // namespace

void BoardInit() {
  UartInit();
  Register(kReload) = kTicks - 1;
  Register(kValue) = 0;
  Register(kControl) = 7;  // the core's clock, interrupt, on
}

int BoardRead() { return UartHas() ? UartGet() : -1; }

void BoardWrite(const char *text, size_t length) {
  for (size_t i = 0; i < length; ++i) UartPut(text[i]);
}

uint32_t BoardMicros() {
  uint32_t before, value;
  do {
    before = tenths;
    value = Register(kValue);
  } while (before != tenths);
  return before * 100000 + (kTicks - 1 - value) / BOARD_MHZ;
}

bool BoardCapture(Image *) { return false; }

}  // namespace micronet

extern "C" void SysTickHandler() { micronet::tenths = micronet::tenths + 1; }

int main() {
  micronet::FirmwareStart();
  for (;;) micronet::FirmwarePoll();
}
