// The kernels, written once over a vector type; each instruction set includes this in its own unit.
//
// y[m, o] = sum over spans of  s[o, span] * e[m, span] * (sum u[o, k] * a[m, k] - z[o, span] * sum a[m, k])
// with unsigned weights u, zero points z (2^(bits-1) where symmetric) and activations x = e * a. The inner
// sums are exact 32-bit integers: |u| < 2^8, |a| < 2^15, at most 128 inputs, so |sum| < 2^30.
// With two passes a = a0 + a1 / 2^15, which is exact to 2^-30 of a span's largest activation.
#pragma once
#include <math.h>
#include <string.h>

#include "job.hpp"
#include "layout.hpp"

namespace bitloom {
namespace {

constexpr float kLowPass = 1.0f / 32768.0f;

inline float from_bf16(uint16_t half) {
    const uint32_t word = static_cast<uint32_t>(half) << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

inline uint16_t to_bf16(float value) {  // to nearest, ties to even
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    if ((word & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((word >> 16) | 0x40u);
    return static_cast<uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
}

inline float load_float(const void *x, bool is_bf16, int64_t index) {
    return is_bf16 ? from_bf16(static_cast<const uint16_t *>(x)[index]) : static_cast<const float *>(x)[index];
}

// The power of two by which a span's activations are divided, so that the largest fits `limit_bits` bits.
inline float span_scale(float largest, int limit_bits) {
    int exponent = 0;
    frexpf(largest, &exponent);
    if (exponent < -90) exponent = -90;
    return ldexpf(1.0f, exponent - limit_bits);
}

void prepare_span(const float *x, int64_t count, bool to_int8, int passes, int64_t pass_stride,
                  int16_t *values, float *scale, int32_t *sums, int64_t sum_stride) {
    float largest = 0.0f, bad = 0.0f;
    for (int64_t k = 0; k < count; ++k) {
        const float size = fabsf(x[k]);
        largest = size > largest ? size : largest;
        bad += size * 0.0f;  // NaN where x is not finite
    }
    if (!(bad == 0.0f)) {  // what is not finite makes the whole row not a number, and no integer of it is used
        *scale = NAN;
        for (int p = 0; p < passes; ++p) {
            memset(values + p * pass_stride, 0, static_cast<size_t>(count) * sizeof(int16_t));
            sums[p * sum_stride] = 0;
        }
        return;
    }
    if (largest == 0.0f) largest = 1.0f;
    const float step = to_int8 ? (largest > 1e-30f ? largest : 1e-30f) / 127.0f : span_scale(largest, 14);
    const float inverse = 1.0f / step;
    int32_t sum = 0, low_sum = 0;
    for (int64_t k = 0; k < count; ++k) {
        const float scaled = x[k] * inverse, rounded = rintf(scaled);
        values[k] = static_cast<int16_t>(rounded);
        sum += static_cast<int32_t>(rounded);
    }
    if (passes == 2) {
        for (int64_t k = 0; k < count; ++k) {
            const float scaled = x[k] * inverse;
            const float low = rintf((scaled - rintf(scaled)) * 32768.0f);
            values[pass_stride + k] = static_cast<int16_t>(low);
            low_sum += static_cast<int32_t>(low);
        }
        sums[sum_stride] = low_sum;
    }
    sums[0] = sum;
    *scale = step;
}

void prepare(const void *x, bool is_bf16, int64_t inputs, const Weights &weights, int passes, bool to_int8,
             int16_t *values, float *scales, int32_t *sums) {
    const int64_t columns = weights.blocks * kBlock, span = weights.span_blocks * kBlock;
    for (int64_t s = 0; s < weights.spans; ++s) {
        const int64_t first = s * span, end = first + span < columns ? first + span : columns;
        float wide[kSpan];
        for (int64_t k = first; k < end; ++k) wide[k - first] = k < inputs ? load_float(x, is_bf16, k) : 0.0f;
        prepare_span(wide, end - first, to_int8, passes, columns, values + first, scales + s, sums + s,
                     weights.spans);
    }
}

// Value T of a block as 16-bit lanes; `words` is the block's first vector.
template <class V, int BITS, int T, int INDEX = 0>
inline typename V::Words field(const uint8_t *words, int half) {
    constexpr Piece piece = piece_of(BITS, T, INDEX);
    constexpr int mask = ((1 << piece.length) - 1) << piece.to;
    typename V::Words lanes = V::load(words + piece.word * 64, half);
    if constexpr (piece.from > piece.to) lanes = V::template right<piece.from - piece.to>(lanes);
    if constexpr (piece.from < piece.to) lanes = V::template left<piece.to - piece.from>(lanes);
    // The top bits of a word need no mask after a shift to the bottom.
    if constexpr (!(piece.from + piece.length == 16 && piece.to == 0)) lanes = V::mask(lanes, mask);
    if constexpr (INDEX + 1 < piece_count(BITS, T))
        lanes = V::either(lanes, field<V, BITS, T, INDEX + 1>(words, half));
    return lanes;
}

template <class V, int BITS, int T>
inline typename V::Words value_lanes(const uint8_t *words, int half, int t) {
    if constexpr (V::kUnrolled)
        return field<V, BITS, T>(words, half);
    else
        return V::field(words, BITS, t);
}

template <class V, int BITS, int ROWS, int PASSES, int T = 0>
inline void block_products(const uint8_t *words, const int16_t *const *x, typename V::Sums (*sums)[PASSES][V::kHalves]) {
    for (int t = T; t < (V::kUnrolled ? T + 1 : kFields); ++t) {
        typename V::Words lanes[V::kHalves];
        for (int h = 0; h < V::kHalves; ++h) lanes[h] = value_lanes<V, BITS, T>(words, h, t);
        for (int m = 0; m < ROWS; ++m)
            for (int p = 0; p < PASSES; ++p) {
                const typename V::Words pair = V::pair(x[m * PASSES + p] + 2 * t);
                for (int h = 0; h < V::kHalves; ++h) V::accumulate(sums[m][p][h], lanes[h], pair);
            }
    }
    if constexpr (V::kUnrolled && T + 1 < kFields) block_products<V, BITS, ROWS, PASSES, T + 1>(words, x, sums);
}

inline int64_t scale_at(const Weights &weights, int64_t tile, int64_t span) {
    return tile * weights.scales_per_tile + span * weights.scale_step;
}

template <class V, int BITS, int ROWS, int PASSES>
void some_rows(const Weights &weights, const Activations &x, int64_t tile, int64_t row, float (*out)[kTile]) {
    const int64_t columns = weights.blocks * kBlock;
    const uint8_t *words = weights.packed + tile * weights.blocks * BITS * 64;
    typename V::Floats totals[ROWS][V::kHalves];
    for (int m = 0; m < ROWS; ++m)
        for (int h = 0; h < V::kHalves; ++h) totals[m][h] = V::zero_floats();
    for (int64_t s = 0, block = 0; s < weights.spans; ++s) {
        typename V::Sums sums[ROWS][PASSES][V::kHalves];
        for (int m = 0; m < ROWS; ++m)
            for (int p = 0; p < PASSES; ++p)
                for (int h = 0; h < V::kHalves; ++h) sums[m][p][h] = V::zero_sums();
        const int64_t next = block + weights.span_blocks;
        for (const int64_t end = next < weights.blocks ? next : weights.blocks; block < end; ++block) {
            const int16_t *places[ROWS * PASSES];
            for (int m = 0; m < ROWS * PASSES; ++m)
                places[m] = x.values + (row * PASSES + m) * columns + block * kBlock;
            V::prefetch(words + 2048);
            block_products<V, BITS, ROWS, PASSES>(words, places, sums);
            words += BITS * 64;
        }
        const int64_t at = scale_at(weights, tile, s);
        for (int h = 0; h < V::kHalves; ++h) {
            const auto scale = V::scales(weights.scales, weights.scales_are_bf16, at, h);
            const auto zero = weights.zero_points ? V::zero_points(weights.zero_points + at, h)
                                                  : V::all(1 << (BITS - 1));
            for (int m = 0; m < ROWS; ++m) {
                const int32_t *sum = x.sums + (row + m) * PASSES * weights.spans + s;
                auto value = V::to_floats(V::without(sums[m][0][h], zero, sum[0]));
                if constexpr (PASSES == 2) {
                    const auto low = V::to_floats(V::without(sums[m][1][h], zero, sum[weights.spans]));
                    value = V::multiply_add(low, V::all_floats(kLowPass), value);
                }
                const auto factor = V::multiply(scale, V::all_floats(x.scales[(row + m) * weights.spans + s]));
                totals[m][h] = V::multiply_add(value, factor, totals[m][h]);
            }
        }
    }
    for (int m = 0; m < ROWS; ++m)
        for (int h = 0; h < V::kHalves; ++h) V::store(totals[m][h], out[m] + h * (kTile / V::kHalves));
}

inline void finish(const Weights &weights, const Output &y, int64_t tile, int64_t row, int rows,
                   const float (*values)[kTile]) {
    const int64_t first = tile * kTile;
    const int64_t count = weights.outputs - first < kTile ? weights.outputs - first : kTile;
    for (int m = 0; m < rows; ++m)
        for (int64_t o = 0; o < count; ++o) {
            const float value = values[m][o] + (weights.bias ? weights.bias[first + o] : 0.0f);
            const int64_t at = (row + m) * y.stride + first + o;
            if (y.is_bf16)
                static_cast<uint16_t *>(y.values)[at] = to_bf16(value);
            else
                static_cast<float *>(y.values)[at] = value;
        }
}

template <class V, int BITS, int PASSES>
void tile_rows(const Weights &weights, const Activations &x, int64_t tile, const Output &y) {
    constexpr int kMost = V::kRows / PASSES;
    float values[kMost][kTile];
    int64_t row = 0;
    for (; row + kMost <= x.rows; row += kMost) {
        some_rows<V, BITS, kMost, PASSES>(weights, x, tile, row, values);
        finish(weights, y, tile, row, kMost, values);
    }
    for (; row < x.rows; ++row) {
        some_rows<V, BITS, 1, PASSES>(weights, x, tile, row, values);
        finish(weights, y, tile, row, 1, values);
    }
}

template <class V, int BITS>
void tile_of_width(const Weights &weights, const Activations &x, int64_t tile, const Output &y) {
    if (x.passes == 2)
        tile_rows<V, BITS, 2>(weights, x, tile, y);
    else
        tile_rows<V, BITS, 1>(weights, x, tile, y);
}

template <class V>
void tile(const Weights &weights, const Activations &x, int64_t index, const Output &y) {
    switch (weights.bits) {
        case 2: return tile_of_width<V, 2>(weights, x, index, y);
        case 3: return tile_of_width<V, 3>(weights, x, index, y);
        case 4: return tile_of_width<V, 4>(weights, x, index, y);
        case 5: return tile_of_width<V, 5>(weights, x, index, y);
        case 6: return tile_of_width<V, 6>(weights, x, index, y);
        case 7: return tile_of_width<V, 7>(weights, x, index, y);
        default: return tile_of_width<V, 8>(weights, x, index, y);
    }
}

template <class V, int BITS, int T = 0>
inline void block_values(const uint8_t *words, uint16_t (*values)[kTile * 2]) {
    for (int t = T; t < (V::kUnrolled ? T + 1 : kFields); ++t)
        for (int h = 0; h < V::kHalves; ++h)
            V::store_words(value_lanes<V, BITS, T>(words, h, t), values[t] + h * (kTile * 2 / V::kHalves));
    if constexpr (V::kUnrolled && T + 1 < kFields) block_values<V, BITS, T + 1>(words, values);
}

template <class V, int BITS>
void dense_of_width(const Weights &weights, int64_t tile, float *out) {
    const int64_t columns = weights.blocks * kBlock;
    const uint8_t *words = weights.packed + tile * weights.blocks * BITS * 64;
    for (int64_t block = 0; block < weights.blocks; ++block, words += BITS * 64) {
        uint16_t values[kFields][kTile * 2];
        block_values<V, BITS>(words, values);
        const int64_t at = scale_at(weights, tile, block / weights.span_blocks);
        for (int64_t o = 0; o < kTile; ++o) {
            const float scale = load_float(weights.scales, weights.scales_are_bf16, at + o);
            const int zero = weights.zero_points ? weights.zero_points[at + o] : 1 << (BITS - 1);
            float *row = out + o * columns + block * kBlock;
            for (int k = 0; k < kBlock; ++k)
                row[k] = static_cast<float>(static_cast<int>(values[k / 2][2 * o + k % 2]) - zero) * scale;
        }
    }
}

template <class V>
void dense(const Weights &weights, int64_t tile, float *out) {
    switch (weights.bits) {
        case 2: return dense_of_width<V, 2>(weights, tile, out);
        case 3: return dense_of_width<V, 3>(weights, tile, out);
        case 4: return dense_of_width<V, 4>(weights, tile, out);
        case 5: return dense_of_width<V, 5>(weights, tile, out);
        case 6: return dense_of_width<V, 6>(weights, tile, out);
        case 7: return dense_of_width<V, 7>(weights, tile, out);
        default: return dense_of_width<V, 8>(weights, tile, out);
    }
}

template <class V>
const Kernels *kernels_of() {
    static const Kernels kernels = {prepare, tile<V>, dense<V>};
    return &kernels;
}

}  // namespace
}  // namespace bitloom
