// A stub: what the STM32 template uses of ST's HAL and of Arm's CMSIS, to check its syntax.
#include <cstddef>
#include <cstdint>
extern "C" {
struct UART_HandleTypeDef {
  void *Instance;
};
enum HAL_StatusTypeDef { HAL_OK };
HAL_StatusTypeDef HAL_UART_Receive_IT(UART_HandleTypeDef *line, uint8_t *bytes, uint16_t count);
HAL_StatusTypeDef HAL_UART_Transmit(UART_HandleTypeDef *line, uint8_t *bytes, uint16_t count,
                                    uint32_t millis);
uint32_t HAL_GetTick(void);
extern uint32_t SystemCoreClock;
}
#define HAL_MAX_DELAY 0xFFFFFFFFu
#define CoreDebug_DEMCR_TRCENA_Msk (1u << 24)
#define DWT_CTRL_CYCCNTENA_Msk 1u
struct StubDebug {
  volatile uint32_t DEMCR;
};
struct StubDwt {
  volatile uint32_t CTRL, CYCCNT;
};
extern StubDebug *CoreDebug;
extern StubDwt *DWT;
