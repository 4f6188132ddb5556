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

// How a row's integers are stored: bytes (8 bits each); two planes of bytes, 256 * high + low; or words of
// 16 bits, the four of inputs 4*t.. in the order 0, 2, 1, 3.
enum class Format { kBytes, kPlanes, kWords };
constexpr int64_t bytes_each(Format format) { return format == Format::kBytes ? 1 : 2; }

// Activations as integers, `rows` of them: [rows][blocks*32] values, [rows][spans] scales and sums. A
// float32 row is two rows here, `passes` = 2, whose products are added.
struct Activations {
    const uint8_t *values;
    const float *scales;
    const int32_t *sums;
    int64_t rows;
    int passes;
    Format format;
};

// A row to be made integers, and where they go: `passes` rows in a line.
struct Row {
    const void *x;
    int64_t inputs;
    uint8_t *values;
    float *scales;
    int32_t *sums;
    bool is_bf16, to_int8;
    int passes;
    Format format;
};

struct Output {
    void *values;
    int64_t stride;
    bool is_bf16;
};

constexpr int kMostRows = 4;  // of integers, whose sums are held in registers at a time

// Functions of one instruction set.
struct Kernels {
    // The format of activations that `tile` wants for weights of a width.
    Format (*format)(int bits, bool to_int8);
    // Make a row of activations integers, span by span.
    void (*prepare)(const Row &row, const Weights &weights);
    // All rows of the outputs of one tile; `scratch` holds the tile unpacked, or is null for few rows.
    void (*tile)(const Weights &weights, const Activations &x, int64_t tile, const Output &y, uint8_t *scratch);
    // Dense rows of one tile: [16, blocks*32] float32.
    void (*dense)(const Weights &weights, int64_t tile, float *out);
};

const Kernels *portable_kernels();
const Kernels *avx2_kernels();    // null where the library was built without it
const Kernels *avx512_kernels();  // null where the library was built without it

}  // namespace bitloom
