// Products and dense weights of one tile, written once over what an instruction set V gives; each includes
// this in its own unit.
//
// y[m, o] = sum over spans of  s[o, span] * e[m, span] * (sum u[o, k] * a[m, k] - z[o, span] * sum a[m, k])
// with unsigned weights u, zero points z (2^(bits-1) where symmetric) and activations x = e * a. The inner
// sums are exact 32-bit integers: |u| < 2^8, |a| <= 2^14, at most 128 inputs, so |sum| < 2^29.
#pragma once
#include "activations.hpp"
#include "job.hpp"
#include "layout.hpp"

namespace bitloom {
namespace {

inline uint16_t to_bf16(float value) {  // to nearest, ties to even
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    if ((word & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((word >> 16) | 0x40u);
    return static_cast<uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
}

// Where one span's activations are: the rows' first bytes are `stride` apart, planes of bytes `plane`.
struct Place {
    const uint8_t *x;
    int64_t stride, plane;
};

inline int64_t scale_at(const Weights &weights, int64_t tile, int64_t span) {
    return tile * weights.scales_per_tile + span * weights.scale_step;
}

inline int64_t span_blocks_of(const Weights &weights, int64_t span) {
    const int64_t left = weights.blocks - span * weights.span_blocks;
    return left < weights.span_blocks ? left : weights.span_blocks;
}

inline const uint8_t *block_of(const Weights &weights, int64_t tile, int64_t block) {
    return weights.packed + (tile * weights.blocks + block) * weights.bits * kVectorBytes;
}

// Call `with` of the width that `bits` is, a constant to the compiler.
template <int BITS> struct Width { static constexpr int bits = BITS; };
template <class F> inline void for_width(int bits, const F &with) {
    switch (bits) {
        case 2: return with(Width<2>{});
        case 3: return with(Width<3>{});
        case 4: return with(Width<4>{});
        case 5: return with(Width<5>{});
        case 6: return with(Width<6>{});
        case 7: return with(Width<7>{});
        default: return with(Width<8>{});
    }
}

// Add a span's products of one row to the totals of a part of the tile.
template <class V>
inline void add_span(const Weights &weights, const Activations &x, int64_t tile, int64_t span, int64_t row, int part,
                     typename V::Sums sums, typename V::Floats &totals) {
    const int64_t at = scale_at(weights, tile, span), place = row * weights.spans + span;
    const int32_t sum = x.sums[place];
    const auto zero = weights.zero_points ? V::times(V::zero_points(weights.zero_points + at, part), sum)
                                          : V::all(sum * (1 << (weights.bits - 1)));
    const auto scale = V::scales(weights.scales, weights.scales_are_bf16, at, part);
    totals = V::add_product(V::less(sums, zero), scale, x.scales[place], totals);
}

inline Place place_of(const Weights &weights, const Activations &x, int64_t row, int64_t span) {
    const int64_t plane = weights.blocks * kBlock, stride = plane * bytes_each(x.format);
    const int64_t step = weights.span_blocks * kBlock * (x.format == Format::kWords ? 2 : 1);
    return {x.values + row * stride + span * step, stride, plane};
}

// The totals of one row, its weights unpacked in registers.
template <class V, int BITS, Format FORMAT>
void one_row(const Weights &weights, const Activations &x, int64_t tile, int64_t row, float *out) {
    typename V::Floats totals[V::kParts] = {};
    for (int64_t s = 0; s < weights.spans; ++s) {
        const uint8_t *packed = block_of(weights, tile, s * weights.span_blocks);
        typename V::Sums sums[V::kParts];
        V::template multiply<BITS, FORMAT>(packed, span_blocks_of(weights, s), place_of(weights, x, row, s), sums);
#pragma GCC unroll 2
        for (int part = 0; part < V::kParts; ++part)
            add_span<V>(weights, x, tile, s, row, part, sums[part], totals[part]);
    }
    for (int part = 0; part < V::kParts; ++part) V::store(totals[part], out + part * (kTile / V::kParts));
}

// The totals of kMostRows rows and a tile that was unpacked before.
template <class V, int CLASS, Format FORMAT>
void some_rows(const Weights &weights, const Activations &x, int64_t tile, int64_t row, const uint8_t *values,
               float (*out)[kTile]) {
    typename V::Floats totals[V::kParts][kMostRows] = {};
    for (int64_t s = 0; s < weights.spans; ++s) {
        const int64_t blocks = span_blocks_of(weights, s);
#pragma GCC unroll 2
        for (int part = 0; part < V::kParts; ++part) {
            typename V::Sums sums[kMostRows];
            V::template multiply_rows<CLASS, FORMAT>(values, blocks, part, place_of(weights, x, row, s), sums);
#pragma GCC unroll 4
            for (int m = 0; m < kMostRows; ++m)
                add_span<V>(weights, x, tile, s, row + m, part, sums[m], totals[part][m]);
        }
        values += blocks * kBlockValues;
    }
#pragma GCC unroll 2
    for (int part = 0; part < V::kParts; ++part)
        for (int m = 0; m < kMostRows; ++m) V::store(totals[part][m], out[m] + part * (kTile / V::kParts));
}

inline void finish(const Weights &weights, const Output &y, int64_t tile, int64_t row, const float *values) {
    const int64_t first = tile * kTile;
    const int64_t count = weights.outputs - first < kTile ? weights.outputs - first : kTile;
    for (int64_t o = 0; o < count; ++o) {
        const float value = values[o] + (weights.bias ? weights.bias[first + o] : 0.0f);
        const int64_t at = row * y.stride + first + o;
        if (y.is_bf16)
            static_cast<uint16_t *>(y.values)[at] = to_bf16(value);
        else
            static_cast<float *>(y.values)[at] = value;
    }
}

// Add up the rows that one row was made into, and put them where they belong.
inline void finish_rows(const Weights &weights, const Activations &x, const Output &y, int64_t tile, int64_t row,
                        int rows, float (*totals)[kTile]) {
    for (int m = 0; m < rows; m += x.passes) {
        if (x.passes == 2)
            for (int o = 0; o < kTile; ++o) totals[m][o] += totals[m + 1][o];
        finish(weights, y, tile, (row + m) / x.passes, totals[m]);
    }
}

template <class V, int BITS, Format FORMAT>
void tile_of(const Weights &weights, const Activations &x, int64_t index, const Output &y, uint8_t *scratch) {
    float totals[kMostRows][kTile];
    int64_t row = 0;
    if (x.rows >= kMostRows && (BITS == 8 || scratch)) {
        const uint8_t *values = block_of(weights, index, 0);
        if constexpr (BITS < 8) {
            V::template unpack<BITS>(values, weights.blocks, scratch);
            values = scratch;
        }
        for (; row + kMostRows <= x.rows; row += kMostRows) {
            some_rows<V, V::class_of(BITS), FORMAT>(weights, x, index, row, values, totals);
            finish_rows(weights, x, y, index, row, kMostRows, totals);
        }
    }
    for (; row < x.rows; row += x.passes) {
        for (int m = 0; m < x.passes; ++m) one_row<V, BITS, FORMAT>(weights, x, index, row + m, totals[m]);
        finish_rows(weights, x, y, index, row, x.passes, totals);
    }
}

template <class V>
void tile(const Weights &weights, const Activations &x, int64_t index, const Output &y, uint8_t *scratch) {
    for_width(weights.bits, [&](auto width) {
        constexpr int bits = decltype(width)::bits;
        constexpr Format exact = V::format(bits, false), bytes = V::format(bits, true);
        if (x.format == exact) return tile_of<V, bits, exact>(weights, x, index, y, scratch);
        return tile_of<V, bits, bytes>(weights, x, index, y, scratch);
    });
}

template <class V> void dense(const Weights &weights, int64_t tile, float *out) {
    const int64_t columns = weights.blocks * kBlock;
    alignas(kVectorBytes) uint8_t unpacked[kTile * kSpan];
    for (int64_t s = 0; s < weights.spans; ++s) {
        const int64_t first = s * weights.span_blocks, blocks = span_blocks_of(weights, s);
        const uint8_t *values = block_of(weights, tile, first);
        for_width(weights.bits, [&](auto width) {
            constexpr int bits = decltype(width)::bits;
            if constexpr (bits < 8) {
                V::template unpack<bits>(values, blocks, unpacked);
                values = unpacked;
            }
        });
        const int64_t at = scale_at(weights, tile, s);
        for (int64_t o = 0; o < kTile; ++o) {
            const float scale = load_float(weights.scales, weights.scales_are_bf16, at + o);
            const int32_t zero = weights.zero_points ? weights.zero_points[at + o] : 1 << (weights.bits - 1);
            float *row = out + o * columns + first * kBlock;
            for (int64_t t = 0; t < blocks * kVectors; ++t)
                V::widen_four(values + t * kVectorBytes + 4 * o, zero, scale, row + 4 * t);
        }
    }
}

template <class V> const Kernels *kernels_of() {
    static const Kernels kernels = {V::format, prepare, tile<V>, dense<V>};
    return &kernels;
}

}  // namespace
}  // namespace bitloom
