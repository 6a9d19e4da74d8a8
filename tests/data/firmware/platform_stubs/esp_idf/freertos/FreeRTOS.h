// A stub: FreeRTOS's clock.
#define pdMS_TO_TICKS(milliseconds) (milliseconds)
