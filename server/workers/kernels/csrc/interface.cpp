// The C interface: everything is checked here, then tiles are shared among threads.
#include "kernels.h"

#include <memory>
#include <new>

#include "job.hpp"
#include "layout.hpp"
#include "threads.hpp"

using namespace bitloom;

namespace {

constexpr int64_t kMostFeatures = int64_t{1} << 24;  // keeps every product of sizes far from 2^63

const Kernels *kernels_for(int isa) {
    if (isa < 0 || isa > bl_best_isa()) return nullptr;
    if (isa == BL_AVX512) return avx512_kernels();
    if (isa == BL_AVX2) return avx2_kernels();
    return portable_kernels();
}

bool takes_shape(int64_t outputs, int64_t inputs) {
    return outputs > 0 && inputs > 0 && outputs <= kMostFeatures && inputs <= kMostFeatures;
}

bool takes_group(int group, int64_t inputs) {
    return group == 0 || ((group == 32 || group == 64 || group == 128) && inputs % group == 0);
}

int check(const bl_weight *weight) {
    if (weight->bits < 2 || weight->bits > 8) return BL_BAD_BITS;
    if (!takes_shape(weight->outputs, weight->inputs)) return BL_BAD_SHAPE;
    if (!takes_group(weight->group, weight->inputs)) return BL_BAD_GROUP;
    if (!weight->packed || !weight->scales) return BL_BAD_SIZE;
    if (weight->packed_bytes != bl_packed_bytes(weight->bits, weight->outputs, weight->inputs)) return BL_BAD_SIZE;
    const uintptr_t alignment = weight->scales_are_bf16 ? alignof(uint16_t) : alignof(float);
    if (reinterpret_cast<uintptr_t>(weight->scales) % alignment) return BL_MISALIGNED;
    if (reinterpret_cast<uintptr_t>(weight->bias) % alignof(float)) return BL_MISALIGNED;
    return BL_OK;
}

Weights weights_of(const bl_weight &weight) {
    Weights out{};
    out.packed = weight.packed;
    out.scales = weight.scales;
    out.zero_points = weight.zero_points;
    out.bias = weight.bias;
    out.outputs = weight.outputs;
    out.blocks = padded(weight.inputs, kBlock) / kBlock;
    out.span_blocks = (weight.group ? weight.group : kSpan) / kBlock;
    out.spans = (out.blocks + out.span_blocks - 1) / out.span_blocks;
    out.scale_step = weight.group ? kTile : 0;
    out.scales_per_tile = weight.group ? out.spans * kTile : kTile;
    out.bits = weight.bits;
    out.scales_are_bf16 = weight.scales_are_bf16 != 0;
    return out;
}

struct LinearJob {
    const Kernels *kernels;
    Weights weights;
    Activations x;
    Output y;
};

void linear_tile(void *context, int64_t tile) {
    const LinearJob &job = *static_cast<const LinearJob *>(context);
    job.kernels->tile(job.weights, job.x, tile, job.y);
}

struct PrepareJob {
    const Kernels *kernels;
    const Weights *weights;
    const char *x;
    int64_t row_bytes, inputs;
    int passes;
    bool is_bf16, to_int8;
    int16_t *values;
    float *scales;
    int32_t *sums;
};

void prepare_row(void *context, int64_t row) {
    const PrepareJob &job = *static_cast<const PrepareJob *>(context);
    const int64_t spans = job.weights->spans;
    job.kernels->prepare(job.x + row * job.row_bytes, job.is_bf16, job.inputs, *job.weights, job.passes,
                         job.to_int8, job.values + row * job.passes * job.weights->blocks * kBlock,
                         job.scales + row * spans, job.sums + row * job.passes * spans);
}

struct DenseJob {
    const Kernels *kernels;
    Weights weights;
    int64_t first, count, inputs;
    float *dense;
};

void dense_tile(void *context, int64_t index) {
    const DenseJob &job = *static_cast<const DenseJob *>(context);
    const int64_t columns = job.weights.blocks * kBlock, left = job.count - index * kTile;
    float *out = job.dense + index * kTile * job.inputs;
    if (columns == job.inputs && left >= kTile) return job.kernels->dense(job.weights, job.first / kTile + index, out);
    const std::unique_ptr<float[]> whole(new (std::nothrow) float[kTile * columns]);
    if (!whole) return;
    job.kernels->dense(job.weights, job.first / kTile + index, whole.get());
    for (int64_t o = 0; o < kTile && o < left; ++o)
        for (int64_t k = 0; k < job.inputs; ++k) out[o * job.inputs + k] = whole[o * columns + k];
}

uint32_t stream_value(const uint32_t *row, int bits, int64_t k) {
    const int64_t bit = k * bits;
    const int offset = static_cast<int>(bit % 32);
    uint64_t both = row[bit / 32];
    if (offset + bits > 32) both |= static_cast<uint64_t>(row[bit / 32 + 1]) << 32;
    return static_cast<uint32_t>(both >> offset) & ((1u << bits) - 1);
}

void repack_block(const uint32_t *const *rows, int bits, int64_t inputs, int64_t block, uint16_t *words) {
    for (int lane = 0; lane < 2 * kTile; ++lane) {
        if (!rows[lane / 2]) continue;
        for (int t = 0; t < kFields; ++t) {
            const int64_t k = block * kBlock + 2 * t + lane % 2;
            if (k >= inputs) break;
            const uint32_t value = stream_value(rows[lane / 2], bits, k);
            for (int i = 0; i < piece_count(bits, t); ++i) {
                const Piece piece = piece_of(bits, t, i);
                const uint32_t part = (value >> piece.to) & ((1u << piece.length) - 1);
                uint16_t &word = words[piece.word * 2 * kTile + lane];
                word = static_cast<uint16_t>(word | (part << piece.from));
            }
        }
    }
}

}  // namespace

extern "C" {

int bl_best_isa(void) {
#if (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(__i386__))
    __builtin_cpu_init();
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
    if (has_avx512 && avx512_kernels()) return BL_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && avx2_kernels()) return BL_AVX2;
#endif
    return BL_PORTABLE;
}

const char *bl_message(int code) {
    switch (code) {
        case BL_OK: return "done";
        case BL_BAD_BITS: return "widths are 2..8 bits";
        case BL_BAD_GROUP: return "groups are 32, 64, 128 (dividing the inputs) or 0 for the whole row";
        case BL_BAD_SHAPE: return "shapes are 1..2^24 outputs and inputs, and strides at least as long as a row";
        case BL_BAD_THREADS: return "at least one thread is needed";
        case BL_BAD_ISA: return "this machine, or this build, lacks the instruction set";
        case BL_BAD_TYPE: return "activations are float32 or bfloat16";
        case BL_MISALIGNED: return "a tensor is not aligned to its numbers";
        case BL_NO_MEMORY: return "no memory for the activations";
        case BL_BAD_SIZE: return "a packed tensor is truncated or of another shape";
        default: return "unknown answer";
    }
}

int64_t bl_packed_bytes(int bits, int64_t outputs, int64_t inputs) {
    if (bits < 2 || bits > 8 || !takes_shape(outputs, inputs)) return -1;
    return padded(outputs, kTile) * padded(inputs, kBlock) / 8 * bits;
}

int64_t bl_scale_count(int group, int64_t outputs, int64_t inputs) {
    if (!takes_shape(outputs, inputs) || !takes_group(group, inputs)) return -1;
    return padded(outputs, kTile) * (group ? inputs / group : 1);
}

int bl_repack(const uint32_t *stream, int64_t words, int bits, int64_t outputs, int64_t inputs, uint8_t *packed,
              int64_t packed_bytes) {
    if (bits < 2 || bits > 8) return BL_BAD_BITS;
    if (!takes_shape(outputs, inputs)) return BL_BAD_SHAPE;
    if (words != (inputs * bits + 31) / 32 || packed_bytes != bl_packed_bytes(bits, outputs, inputs))
        return BL_BAD_SIZE;
    if (reinterpret_cast<uintptr_t>(stream) % alignof(uint32_t)) return BL_MISALIGNED;
    if (reinterpret_cast<uintptr_t>(packed) % alignof(uint16_t)) return BL_MISALIGNED;
    const int64_t blocks = padded(inputs, kBlock) / kBlock;
    uint16_t *target = reinterpret_cast<uint16_t *>(packed);
    for (int64_t i = 0; i < packed_bytes / 2; ++i) target[i] = 0;
    for (int64_t tile = 0; tile * kTile < outputs; ++tile) {
        const uint32_t *rows[kTile];
        for (int64_t o = 0; o < kTile; ++o)
            rows[o] = tile * kTile + o < outputs ? stream + (tile * kTile + o) * words : nullptr;
        for (int64_t block = 0; block < blocks; ++block)
            repack_block(rows, bits, inputs, block, target + (tile * blocks + block) * bits * 2 * kTile);
    }
    return BL_OK;
}

int bl_linear(const bl_weight *weight, const void *x, int64_t x_stride, int64_t rows, void *y, int64_t y_stride,
              int type, int mode, int isa, int threads) {
    if (const int wrong = check(weight)) return wrong;
    if (type != BL_FLOAT32 && type != BL_BFLOAT16) return BL_BAD_TYPE;
    if (mode != BL_EXACT && mode != BL_INT8) return BL_BAD_TYPE;
    if (threads < 1) return BL_BAD_THREADS;
    const bool is_bf16 = type == BL_BFLOAT16;
    if (rows < 0 || rows > kMostFeatures || x_stride < weight->inputs || y_stride < weight->outputs)
        return BL_BAD_SHAPE;
    const uintptr_t alignment = is_bf16 ? alignof(uint16_t) : alignof(float);
    if (reinterpret_cast<uintptr_t>(x) % alignment || reinterpret_cast<uintptr_t>(y) % alignment)
        return BL_MISALIGNED;
    const Kernels *kernels = kernels_for(isa);
    if (!kernels) return BL_BAD_ISA;
    if (rows == 0) return BL_OK;
    const Weights weights = weights_of(*weight);
    const int passes = is_bf16 || mode == BL_INT8 ? 1 : 2;
    const int64_t columns = weights.blocks * kBlock;
    const std::unique_ptr<int16_t[]> values(new (std::nothrow) int16_t[rows * passes * columns]);
    const std::unique_ptr<float[]> scales(new (std::nothrow) float[rows * weights.spans]);
    const std::unique_ptr<int32_t[]> sums(new (std::nothrow) int32_t[rows * passes * weights.spans]);
    if (!values || !scales || !sums) return BL_NO_MEMORY;
    PrepareJob preparing{kernels, &weights, static_cast<const char *>(x), x_stride * (is_bf16 ? 2 : 4),
                         weight->inputs, passes, is_bf16, mode == BL_INT8, values.get(), scales.get(), sums.get()};
    for_each(rows, rows < 8 ? 1 : threads, prepare_row, &preparing);
    LinearJob job{kernels, weights, {values.get(), scales.get(), sums.get(), rows, passes}, {y, y_stride, is_bf16}};
    for_each(padded(weight->outputs, kTile) / kTile, threads, linear_tile, &job);
    return BL_OK;
}

int bl_dequantize(const bl_weight *weight, int64_t first, int64_t count, float *dense, int isa, int threads) {
    if (const int wrong = check(weight)) return wrong;
    if (threads < 1) return BL_BAD_THREADS;
    if (first < 0 || first % kTile || count < 0 || first + count > weight->outputs) return BL_BAD_SHAPE;
    if (reinterpret_cast<uintptr_t>(dense) % alignof(float)) return BL_MISALIGNED;
    const Kernels *kernels = kernels_for(isa);
    if (!kernels) return BL_BAD_ISA;
    DenseJob job{kernels, weights_of(*weight), first, count, weight->inputs, dense};
    for_each(padded(count, kTile) / kTile, threads, dense_tile, &job);
    return BL_OK;
}

}  // extern "C"
