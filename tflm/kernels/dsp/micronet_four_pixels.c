/* Four pixels times two outputs, the core of the convolutions for Armv7E-M. */
#include "micronet_four_pixels.h"

#if MICRONET_DSP

#if MICRONET_ARM_DSP

/* Eight sums, two pairs of inputs and two of weights and two pointers are all the registers there
 * are: 3 LDRD and 8 SMLAD for 16 MACs. A function without prologue, so that no compiler and no
 * option has a say in it:
 *   r0 x, r1 weights, r2 .. r5 the first output of four pixels, r6 .. r9 the second one's
 * and on the stack what is not needed in the loop:
 *   0 weights' end, 4 weights, 8 and 12 the doubled biases, 16 where in the loop to begin,
 *   20 multiplier, 24 offset, 28 shift of the first output, 32, 36, 40 of the second,
 *   44 out, 48 end of out, 52 `second`, 56 out_step.
 * A turn of the loop takes sixteen inputs; one that is not full begins in its middle. */
#define PAIR                                           \
  "ldrd r10, r11, [r1], #8\n ldrd r12, lr, [r0], #8\n" \
  "smlad r2, r12, r10, r2\n smlad r3, lr, r10, r3\n"   \
  "smlad r6, r12, r11, r6\n smlad r7, lr, r11, r7\n"   \
  "ldrd r12, lr, [r0], #8\n"                           \
  "smlad r4, r12, r10, r4\n smlad r5, lr, r10, r5\n"   \
  "smlad r8, r12, r11, r8\n smlad r9, lr, r11, r9\n"
#define REQUANTIZE(sum)                             \
  "add r1, r11, " sum ", asr #31\n smmlar r1, " sum \
  ", r10, r1\n"                                     \
  "asr r1, r1, lr\n ssat " sum ", #8, r1\n"
#define STORE(sum0, sum1) "strb " sum1 ", [r1, r10]\n strb " sum0 ", [r1]\n add r1, r1, r11\n"

MICRONET_NAKED void micronet_four_pixels(const int16_t *x MICRONET_IN_REGISTER,
                                         int32_t blocks MICRONET_IN_REGISTER,
                                         int8_t *out MICRONET_IN_REGISTER,
                                         const micronet_two_outputs *p MICRONET_IN_REGISTER) {
  __asm__(
      "push {r4-r11, lr}\n sub sp, sp, #60\n"
      "ldm r3, {r4-r9}\n"                                   /* the struct */
      "str r5, [sp]\n str r4, [sp, #4]\n str r8, [sp, #52]\n str r9, [sp, #56]\n"
      "mul r12, r1, r9\n add r12, r2, r12, lsl #2\n strd r2, r12, [sp, #44]\n"
      "subs r5, r5, r4\n rsb r5, r5, #0\n and r5, r5, #48\n" /* 16 bytes of weights a four */
      "adr r12, 2f\n orr r12, r12, #1\n add r12, r12, r5, lsl #2\n" /* of 88 bytes: 64 */
      "add r12, r12, r5\n add r12, r12, r5, lsr #1\n str r12, [sp, #16]\n" /* 16, 8 */
      "ldm r6, {r8-r11}\n str r8, [sp, #8]\n strd r9, r10, [sp, #20]\n str r11, [sp, #28]\n"
      "ldm r7, {r8-r11}\n str r8, [sp, #12]\n strd r9, r10, [sp, #32]\n str r11, [sp, #40]\n"
      "1:\n ldr r1, [sp, #4]\n ldrd r2, r6, [sp, #8]\n"
      "mov r3, r2\n mov r4, r2\n mov r5, r2\n mov r7, r6\n mov r8, r6\n mov r9, r6\n"
      "ldr pc, [sp, #16]\n"
      ".p2align 2\n 2:\n" PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR
      "ldr r12, [sp]\n cmp r1, r12\n bne 2b\n"
      "ldrd r10, r11, [sp, #20]\n ldr lr, [sp, #28]\n"
      REQUANTIZE("r2") REQUANTIZE("r3") REQUANTIZE("r4") REQUANTIZE("r5")
      "ldrd r10, r11, [sp, #32]\n ldr lr, [sp, #40]\n"
      REQUANTIZE("r6") REQUANTIZE("r7") REQUANTIZE("r8") REQUANTIZE("r9")
      "ldrd r1, r12, [sp, #44]\n ldrd r10, r11, [sp, #52]\n"
      STORE("r2", "r6") STORE("r3", "r7") STORE("r4", "r8") STORE("r5", "r9")
      "str r1, [sp, #44]\n cmp r1, r12\n bne 1b\n"
      "add sp, sp, #60\n pop {r4-r11, pc}\n");
}

#undef PAIR
#undef REQUANTIZE
#undef STORE

#else

void micronet_four_pixels(const int16_t *x, int32_t blocks, int8_t *out,
                          const micronet_two_outputs *p) {
  for (; blocks > 0; --blocks) {
    int32_t sum0[4], sum1[4];
    for (int i = 0; i < 4; ++i) {
      sum0[i] = p->record0->doubled_bias;
      sum1[i] = p->record1->doubled_bias;
    }
    for (const int16_t *w = p->weights; w != p->weights_end; w += 4, x += 8) {
      const micronet_pair w0 = micronet_load_pair(w), w1 = micronet_load_pair(w + 2);
      for (int i = 0; i < 4; ++i) {
        const micronet_pair v = micronet_load_pair(x + 2 * i);
        sum0[i] = micronet_smlad(v, w0, sum0[i]);
        sum1[i] = micronet_smlad(v, w1, sum1[i]);
      }
    }
    for (int i = 0; i < 4; ++i, out += p->out_step) {
      out[p->second] = micronet_requantize(sum1[i], p->record1->multiplier, p->record1->offset,
                                           p->record1->shift);
      out[0] = micronet_requantize(sum0[i], p->record0->multiplier, p->record0->offset,
                                   p->record0->shift);
    }
  }
}

#endif

void micronet_single_pixels(const int16_t *x, int32_t count, int8_t *out,
                            const micronet_two_outputs *p) {
  for (; count > 0; --count, out += p->out_step) {
    const micronet_channel *c0 = p->record0, *c1 = p->record1;
    const int16_t *w = p->weights;
    const int16_t *const end = p->weights_end;
    int32_t sum0 = c0->doubled_bias, sum1 = c1->doubled_bias;
    do {
      const micronet_four v = micronet_next_four(&x);
      const micronet_four even = micronet_next_four(&w), odd = micronet_next_four(&w);
      sum0 = micronet_smlad(v.first, even.first, sum0);
      sum1 = micronet_smlad(v.first, even.second, sum1);
      sum0 = micronet_smlad(v.second, odd.first, sum0);
      sum1 = micronet_smlad(v.second, odd.second, sum1);
    } while (w != end);
    out[p->second] = micronet_requantize(sum1, c1->multiplier, c1->offset, c1->shift);
    out[0] = micronet_requantize(sum0, c0->multiplier, c0->offset, c0->shift);
  }
}

#endif
