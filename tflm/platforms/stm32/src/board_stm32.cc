// The five functions of board.h, by ST's HAL. CubeMX's main.h brings the headers of the chip.
#include "board.h"
#include "firmware.h"
#include "main.h"
#include "micronet_main.h"

// CubeMX defines the handle in main.c or usart.c.
extern "C" UART_HandleTypeDef MICRONET_UART;

namespace micronet {
namespace {

// What arrives during an inference waits in it; a power of two.
constexpr uint32_t kRing = 8192;
uint8_t ring[kRing];
volatile uint32_t written = 0;
uint32_t taken = 0;
uint8_t arriving;

void Listen() { HAL_UART_Receive_IT(&MICRONET_UART, &arriving, 1); }

}  // namespace

void OnReceived() {
  if (written - taken < kRing) {
    ring[written % kRing] = arriving;
    written = written + 1;
  }
  Listen();
}

// A byte was garbled or came too fast: HAL stops listening.
void OnError() { Listen(); }

void BoardInit() {
  CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
  DWT->CYCCNT = 0;
  DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
  Listen();
}

int BoardRead() { return taken == written ? -1 : ring[taken++ % kRing]; }

void BoardWrite(const char *text, size_t length) {
  // Older HALs take a pointer to what they do not change.
  uint8_t *bytes = reinterpret_cast<uint8_t *>(const_cast<char *>(text));
  HAL_UART_Transmit(&MICRONET_UART, bytes, static_cast<uint16_t>(length), HAL_MAX_DELAY);
}

// By the cycle counter, which wraps within seconds on a fast chip: what takes longer than a second is
// counted by HAL's clock, whose milliseconds are fine enough for that.
uint32_t BoardMicros() {
  static uint32_t micros = 0, cycles = 0, millis = 0;
  const uint32_t cycles_now = DWT->CYCCNT, millis_now = HAL_GetTick();
  const uint32_t megahertz = SystemCoreClock / 1000000;
  if (millis_now - millis < 1000) {
    const uint32_t elapsed = (cycles_now - cycles) / megahertz;
    micros += elapsed;
    cycles += elapsed * megahertz;
    if (elapsed == 0) return micros;
  } else {
    micros += (millis_now - millis) * 1000;
    cycles = cycles_now;
  }
  millis = millis_now;
  return micros;
}

// No camera in this template.
bool BoardCapture(Image *) { return false; }

}  // namespace micronet

extern "C" {

void HAL_UART_RxCpltCallback(UART_HandleTypeDef *line) {
  if (line == &MICRONET_UART) micronet::OnReceived();
}

void HAL_UART_ErrorCallback(UART_HandleTypeDef *line) {
  if (line == &MICRONET_UART) micronet::OnError();
}

void micronet_start(void) { micronet::FirmwareStart(); }

void micronet_poll(void) { micronet::FirmwarePoll(); }

}  // extern "C"
