/* What main.c calls. */
#ifndef MICRONET_MAIN_H_
#define MICRONET_MAIN_H_

#ifdef __cplusplus
extern "C" {
#endif

/* Once, after the peripherals are ready. */
void micronet_start(void);
/* Again and again, in the endless loop. */
void micronet_poll(void);

#ifdef __cplusplus
}
#endif

#endif /* MICRONET_MAIN_H_ */
