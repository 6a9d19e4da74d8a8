// A stub: the one function of FreeRTOS that the template calls.
void vTaskDelay(unsigned ticks);
