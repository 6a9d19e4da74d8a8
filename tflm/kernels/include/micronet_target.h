/* Which code runs. It is chosen here, when compiling, and nowhere else: every file in reference/,
 * dsp/ and helium/ asks one of these macros whether it is wanted, so that a build may simply take
 * all files. */
#ifndef MICRONET_TARGET_H_
#define MICRONET_TARGET_H_

/* The readable loops of reference/, on any machine: -DMICRONET_REFERENCE=1. */
#ifndef MICRONET_REFERENCE
#define MICRONET_REFERENCE 0
#endif

/* helium/, for cores with the vector extension (MVE), as the Cortex-M55. */
#if !MICRONET_REFERENCE && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define MICRONET_HELIUM 1
#else
#define MICRONET_HELIUM 0
#endif

/* dsp/, for Armv7E-M (Cortex-M4, M7) and, with portable equivalents of its instructions, for every
 * other machine. */
#if MICRONET_REFERENCE || MICRONET_HELIUM
#define MICRONET_DSP 0
#else
#define MICRONET_DSP 1
#endif

/* Whether the instructions of Armv7E-M are there. Without optimisation the portable equivalents are
 * used: some loops need every register of the machine. */
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__GNUC__) && defined(__OPTIMIZE__)
#define MICRONET_ARM_DSP 1
#else
#define MICRONET_ARM_DSP 0
#endif

/* GCC compiles the kernels in one way, whatever the project around them asks for: -Os would not
 * unroll, and a frame pointer takes a register that some loops need. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

/* memcpy of a few bytes, known when compiling: it is to be a load and a store with -ffreestanding,
 * too, as RTOSes use it, where memcpy is any function. */
#if defined(__GNUC__)
#define MICRONET_COPY __builtin_memcpy
#else
#define MICRONET_COPY memcpy
#endif

#if defined(__GNUC__)
#define MICRONET_INLINE static inline __attribute__((always_inline))
#define MICRONET_NOINLINE __attribute__((noinline))
/* A function that is assembly from its first instruction to its last. It finds its arguments in
 * registers. */
#define MICRONET_NAKED __attribute__((naked, noinline))
#define MICRONET_IN_REGISTER __attribute__((unused))
#else
#define MICRONET_INLINE static inline
#define MICRONET_NOINLINE
#endif

#endif /* MICRONET_TARGET_H_ */
