// The C interface: everything is checked here, then tiles are shared among threads.
#include "kernels.h"

#include <string.h>

#include <memory>
#include <new>

#include "job.hpp"
#include "layout.hpp"
#include "threads.hpp"

using namespace bitloom;

namespace {

constexpr int64_t kMostFeatures = int64_t{1} << 24;  // keeps every product of sizes far from 2^63
constexpr int kMostThreads = 4096;

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
    uint8_t *scratch;
    int64_t scratch_bytes;  // of each worker
};

void linear_tile(void *context, int64_t tile, int worker) {
    const LinearJob &job = *static_cast<const LinearJob *>(context);
    uint8_t *scratch = job.scratch ? job.scratch + worker * job.scratch_bytes : nullptr;
    job.kernels->tile(job.weights, job.x, tile, job.y, scratch);
}

struct PrepareJob {
    const Kernels *kernels;
    const Weights *weights;
    Row first;
    int64_t x_row_bytes, row_bytes;
};

void prepare_row(void *context, int64_t index, int) {
    const PrepareJob &job = *static_cast<const PrepareJob *>(context);
    Row row = job.first;
    const int64_t at = index * row.passes;
    row.x = static_cast<const char *>(row.x) + index * job.x_row_bytes;
    row.values += at * job.row_bytes;
    row.scales += at * job.weights->spans;
    row.sums += at * job.weights->spans;
    job.kernels->prepare(row, *job.weights);
}

struct DenseJob {
    const Kernels *kernels;
    Weights weights;
    int64_t first, count, inputs;
    float *dense;
};

void dense_tile(void *context, int64_t index, int) {
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

struct RepackJob {
    const uint32_t *stream;
    int64_t words, outputs, inputs, blocks;
    int bits;
    uint8_t *packed;
};

// Put the values of a block of one output in place; `words` is where the block begins, `count` values are left.
void repack_block(const uint32_t *words, int64_t count, int bits, int64_t output, uint8_t *block) {
    for (int64_t k = 0; k < kBlock && k < count; ++k) {
        const int64_t bit = k * bits, offset = bit % 32;
        uint64_t both = words[bit / 32];
        if (offset + bits > 32) both |= static_cast<uint64_t>(words[bit / 32 + 1]) << 32;
        const uint32_t value = static_cast<uint32_t>(both >> offset) & ((1u << bits) - 1);
        const int t = static_cast<int>(k / 4);
        uint8_t *lane = block + 4 * output + k % 4;
        for (int i = 0; i < bits; ++i) {
            const Piece piece = piece_of(bits, t, i);
            const uint32_t part = (value >> piece.to) & ((1u << piece.length) - 1);
            uint8_t &byte = lane[piece.vector * kVectorBytes];
            byte = static_cast<uint8_t>(byte | (part << piece.from));
            if (piece.to + piece.length == bits) break;
        }
    }
}

void repack_tile(void *context, int64_t tile, int) {
    const RepackJob &job = *static_cast<const RepackJob *>(context);
    const int64_t block_bytes = job.bits * kVectorBytes;
    uint8_t *target = job.packed + tile * job.blocks * block_bytes;
    memset(target, 0, static_cast<size_t>(job.blocks * block_bytes));
    for (int64_t o = 0; o < kTile && tile * kTile + o < job.outputs; ++o) {
        const uint32_t *row = job.stream + (tile * kTile + o) * job.words;
        for (int64_t b = 0; b < job.blocks; ++b)
            repack_block(row + b * job.bits, job.inputs - b * kBlock, job.bits, o, target + b * block_bytes);
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
        case BL_BAD_THREADS: return "between one thread and 4096 are needed";
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
              int64_t packed_bytes, int threads) {
    if (bits < 2 || bits > 8) return BL_BAD_BITS;
    if (!takes_shape(outputs, inputs)) return BL_BAD_SHAPE;
    if (threads < 1 || threads > kMostThreads) return BL_BAD_THREADS;
    if (words != (inputs * bits + 31) / 32 || packed_bytes != bl_packed_bytes(bits, outputs, inputs))
        return BL_BAD_SIZE;
    if (reinterpret_cast<uintptr_t>(stream) % alignof(uint32_t)) return BL_MISALIGNED;
    RepackJob job{stream, words, outputs, inputs, padded(inputs, kBlock) / kBlock, bits, packed};
    for_each(padded(outputs, kTile) / kTile, threads, repack_tile, &job);
    return BL_OK;
}

int bl_linear(const bl_weight *weight, const void *x, int64_t x_stride, int64_t rows, void *y, int64_t y_stride,
              int type, int mode, int isa, int threads) {
    if (const int wrong = check(weight)) return wrong;
    if (type != BL_FLOAT32 && type != BL_BFLOAT16) return BL_BAD_TYPE;
    if (mode != BL_EXACT && mode != BL_INT8) return BL_BAD_TYPE;
    if (threads < 1 || threads > kMostThreads) return BL_BAD_THREADS;
    const bool is_bf16 = type == BL_BFLOAT16, to_int8 = mode == BL_INT8;
    if (rows < 0 || rows > kMostFeatures || x_stride < weight->inputs || y_stride < weight->outputs)
        return BL_BAD_SHAPE;
    const uintptr_t alignment = is_bf16 ? alignof(uint16_t) : alignof(float);
    if (reinterpret_cast<uintptr_t>(x) % alignment || reinterpret_cast<uintptr_t>(y) % alignment)
        return BL_MISALIGNED;
    const Kernels *kernels = kernels_for(isa);
    if (!kernels) return BL_BAD_ISA;
    if (rows == 0) return BL_OK;
    const Weights weights = weights_of(*weight);
    const int passes = is_bf16 || to_int8 ? 1 : 2;
    const Format format = kernels->format(weights.bits, to_int8);
    const int64_t columns = weights.blocks * kBlock, integer_rows = rows * passes;
    const int64_t row_bytes = columns * bytes_each(format);
    const int64_t scratch_bytes = integer_rows >= kMostRows && weights.bits < 8 ? kTile * columns : 0;
    const std::unique_ptr<uint8_t[]> values(new (std::nothrow) uint8_t[integer_rows * row_bytes]);
    const std::unique_ptr<float[]> scales(new (std::nothrow) float[integer_rows * weights.spans]);
    const std::unique_ptr<int32_t[]> sums(new (std::nothrow) int32_t[integer_rows * weights.spans]);
    const std::unique_ptr<uint8_t[]> scratch(new (std::nothrow) uint8_t[threads * scratch_bytes]);
    if (!values || !scales || !sums || !scratch) return BL_NO_MEMORY;
    const Row first{x, weight->inputs, values.get(), scales.get(), sums.get(), is_bf16, to_int8, passes, format};
    PrepareJob preparing{kernels, &weights, first, x_stride * (is_bf16 ? 2 : 4), row_bytes};
    for_each(rows, rows < 8 ? 1 : threads, prepare_row, &preparing);
    LinearJob job{kernels, weights, {values.get(), scales.get(), sums.get(), integer_rows, passes, format},
                  {y, y_stride, is_bf16}, scratch_bytes ? scratch.get() : nullptr, scratch_bytes};
    for_each(padded(weight->outputs, kTile) / kTile, threads, linear_tile, &job);
    return BL_OK;
}

int bl_dequantize(const bl_weight *weight, int64_t first, int64_t count, float *dense, int isa, int threads) {
    if (const int wrong = check(weight)) return wrong;
    if (threads < 1 || threads > kMostThreads) return BL_BAD_THREADS;
    if (first < 0 || first % kTile || count < 0 || first + count > weight->outputs) return BL_BAD_SHAPE;
    if (reinterpret_cast<uintptr_t>(dense) % alignof(float)) return BL_MISALIGNED;
    const Kernels *kernels = kernels_for(isa);
    if (!kernels) return BL_BAD_ISA;
    DenseJob job{kernels, weights_of(*weight), first, count, weight->inputs, dense};
    for_each(padded(count, kTile) / kTile, threads, dense_tile, &job);
    return BL_OK;
}

}  // extern "C"
