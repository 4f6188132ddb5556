// Plain C++: any machine, and the reference of the others.
#include "kernel.hpp"

namespace bitloom {
namespace {

struct Portable {
    static constexpr int kParts = 1;
    struct Sums { int32_t at[kTile]; };
    struct Floats { float at[kTile]; };

    static constexpr Format format(int, bool) { return Format::kWords; }
    static constexpr int class_of(int) { return 0; }
    template <int BITS> static void unpack(const uint8_t *packed, int64_t blocks, uint8_t *values) {
        unpack_of(BITS, packed, blocks, values);
    }
    BL_APART static void unpack_of(int bits, const uint8_t *packed, int64_t blocks, uint8_t *values) {
        for (int64_t b = 0; b < blocks; ++b, packed += bits * kVectorBytes, values += kBlockValues) {
            memset(values, 0, kBlockValues);
            for (int t = 0; t < kVectors; ++t)
                for (int i = 0; i < bits; ++i) {
                    const Piece piece = piece_of(bits, t, i);
                    if (piece.length == 0) break;
                    const uint8_t *from = packed + piece.vector * kVectorBytes;
                    uint8_t *to = values + t * kVectorBytes;
                    const int mask = (1 << piece.length) - 1;
                    for (int l = 0; l < kVectorBytes; ++l)
                        to[l] = static_cast<uint8_t>(to[l] | (((from[l] >> piece.from) & mask) << piece.to));
                }
        }
    }
    template <int BITS, Format> static void multiply(const uint8_t *packed, int64_t blocks, Place place, Sums *sums) {
        uint8_t values[kTile * kSpan];
        if (BITS < 8) unpack_of(BITS, packed, blocks, values);
        multiply_row(BITS < 8 ? values : packed, blocks, place.x, *sums);
    }
    template <int, Format>
    static void multiply_rows(const uint8_t *values, int64_t blocks, int, Place place, Sums *sums) {
        for (int m = 0; m < kMostRows; ++m) multiply_row(values, blocks, place.x + m * place.stride, sums[m]);
    }
    BL_APART static void multiply_row(const uint8_t *unpacked, int64_t blocks, const uint8_t *x, Sums &sums) {
        int32_t lanes[kVectorBytes] = {};
        for (int64_t t = 0; t < blocks * kVectors; ++t) {
            int16_t words[4];
            memcpy(words, x + 8 * t, sizeof words);
            int16_t spread[kVectorBytes];
            for (int l = 0; l < kVectorBytes; ++l) spread[l] = words[(l % 4 * 2) % 4 + l % 4 / 2];
            const uint8_t *values = unpacked + t * kVectorBytes;
            for (int l = 0; l < kVectorBytes; ++l) lanes[l] += values[l] * spread[l];
        }
        for (int o = 0; o < kTile; ++o)
            sums.at[o] = lanes[4 * o] + lanes[4 * o + 1] + lanes[4 * o + 2] + lanes[4 * o + 3];
    }
    static Sums all(int32_t value) {
        Sums out;
        for (int32_t &lane : out.at) lane = value;
        return out;
    }
    static Sums zero_points(const uint8_t *zero, int) {
        Sums out;
        for (int o = 0; o < kTile; ++o) out.at[o] = zero[o];
        return out;
    }
    static Sums times(Sums sums, int32_t factor) {
        for (int32_t &lane : sums.at) lane *= factor;
        return sums;
    }
    static Sums less(Sums sums, const Sums &zero) {
        for (int o = 0; o < kTile; ++o) sums.at[o] -= zero.at[o];
        return sums;
    }
    static Floats scales(const void *scale, bool is_bf16, int64_t at, int) {
        Floats out;
        for (int o = 0; o < kTile; ++o) out.at[o] = load_float(scale, is_bf16, at + o);
        return out;
    }
    static Floats add_product(const Sums &sums, const Floats &scales, float step, Floats totals) {
        for (int o = 0; o < kTile; ++o)
            totals.at[o] = fmaf(static_cast<float>(sums.at[o]), scales.at[o] * step, totals.at[o]);
        return totals;
    }
    static void store(const Floats &totals, float *out) { memcpy(out, totals.at, sizeof totals.at); }
    static void widen_four(const uint8_t *values, int32_t zero, float scale, float *out) {
        for (int i = 0; i < 4; ++i) out[i] = static_cast<float>(values[i] - zero) * scale;
    }
};

}  // namespace

const Kernels *portable_kernels() { return kernels_of<Portable>(); }

}  // namespace bitloom
