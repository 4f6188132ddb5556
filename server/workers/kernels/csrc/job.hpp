// What one instruction set's translation unit is given and gives.
#pragma once
#include <stdint.h>

namespace bitloom {

// Weights by tile and span. `scale_step` is the tile's scales between one span and the next: 16, or 0
// where all inputs share a scale. Scales of one tile are `scales_per_tile` apart.
struct Weights {
    const uint8_t *packed;
    const void *scales;
    const uint8_t *zero_points;
    const float *bias;
    int64_t outputs, blocks, spans, span_blocks, scale_step, scales_per_tile;
    int bits;
    bool scales_are_bf16;
};

// Activations as integers: [rows][passes][blocks*32] int16; [rows][spans] scales; [rows][passes][spans] sums.
struct Activations {
    const int16_t *values;
    const float *scales;
    const int32_t *sums;
    int64_t rows;
    int passes;
};

struct Output {
    void *values;
    int64_t stride;
    bool is_bf16;
};

// Functions of one instruction set.
struct Kernels {
    // Quantize a row of `inputs` activations (float32 or bfloat16) to integers, span by span.
    void (*prepare)(const void *x, bool is_bf16, int64_t inputs, const Weights &weights, int passes,
                    bool to_int8, int16_t *values, float *scales, int32_t *sums);
    // All rows of the outputs of one tile.
    void (*tile)(const Weights &weights, const Activations &x, int64_t tile, const Output &y);
    // Dense rows of one tile: [16, blocks*32] float32.
    void (*dense)(const Weights &weights, int64_t tile, float *out);
};

const Kernels *portable_kernels();
const Kernels *avx2_kernels();    // null where the library was built without it
const Kernels *avx512_kernels();  // null where the library was built without it

}  // namespace bitloom
