// A stub (see c/common.h): TFLM's log.
#ifndef TFLM_STUB_MICRO_LOG_H_
#define TFLM_STUB_MICRO_LOG_H_

void MicroPrintf(const char *format, ...);

#endif  // TFLM_STUB_MICRO_LOG_H_
