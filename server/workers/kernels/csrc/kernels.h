// C interface of the packed CPU kernels. See docs/kernel.md for the layout and the arithmetic.
#pragma once
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define BL_EXPORT __attribute__((visibility("default")))
#else
#define BL_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Instruction sets, slowest first.
enum { BL_PORTABLE = 0, BL_AVX2 = 1, BL_AVX512 = 2 };
// Types of activations and outputs.
enum { BL_FLOAT32 = 0, BL_BFLOAT16 = 1 };
// How activations are rounded: exact enough for their type, or to 8 bits a group (a row, where that is one).
enum { BL_EXACT = 0, BL_INT8 = 1 };
// What a call answers.
enum {
    BL_OK = 0, BL_BAD_BITS = 1, BL_BAD_GROUP = 2, BL_BAD_SHAPE = 3, BL_BAD_THREADS = 4,
    BL_BAD_ISA = 5, BL_BAD_TYPE = 6, BL_MISALIGNED = 7, BL_NO_MEMORY = 8, BL_BAD_SIZE = 9
};

// A weight matrix [outputs, inputs] in the kernel's layout. `group` is the inputs that share a scale:
// 32, 64, 128, or 0 for all of a row. `zero_points` is null where symmetric, `bias` where there is none.
typedef struct {
    const uint8_t *packed;
    const void *scales;
    const uint8_t *zero_points;
    const float *bias;
    int64_t packed_bytes;
    int64_t outputs;
    int64_t inputs;
    int32_t bits;
    int32_t group;
    int32_t scales_are_bf16;
} bl_weight;

// The best instruction set of this machine.
BL_EXPORT int bl_best_isa(void);
// Name of an answer, never null.
BL_EXPORT const char *bl_message(int code);
// Bytes of the packed values of [outputs, inputs], or -1 for widths and shapes that are not taken.
BL_EXPORT int64_t bl_packed_bytes(int bits, int64_t outputs, int64_t inputs);
// Scales (and zero points) that the layout holds, padding included, or -1.
BL_EXPORT int64_t bl_scale_count(int group, int64_t outputs, int64_t inputs);
// Repack a dense bit stream a row (compressed-tensors' pack-quantized) of `words` 32-bit words a row.
BL_EXPORT int bl_repack(const uint32_t *stream, int64_t words, int bits, int64_t outputs, int64_t inputs,
              uint8_t *packed, int64_t packed_bytes, int threads);
// y[rows, outputs] = x[rows, inputs] W^T + bias.
BL_EXPORT int bl_linear(const bl_weight *weight, const void *x, int64_t x_stride, int64_t rows, void *y,
              int64_t y_stride, int type, int mode, int isa, int threads);
// Dense float32 rows [first, first + count) of the weight; `first` is a multiple of 16.
BL_EXPORT int bl_dequantize(const bl_weight *weight, int64_t first, int64_t count, float *dense, int isa, int threads);

#ifdef __cplusplus
}
#endif
