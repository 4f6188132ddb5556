// Activations made integers, a span at a time; included by each instruction set's unit.
//
// A span's activations are x = e * a with integers a of one step e: a power of two with |a| <= 2^14, so that
// bfloat16 numbers within seven octaves of the span's largest are exact; or the largest / 127, the row's largest
// where weights have one scale a row, as W8A8 has it. An exact float32 row has a second row for what the first
// left over, in steps of e / 2^15.
#pragma once
#include <math.h>
#include <string.h>

#include "job.hpp"
#include "layout.hpp"

namespace bitloom {
namespace {

#if defined(__GNUC__) || defined(__clang__)
#define BL_ALONE __restrict  // nothing else points there: for vector code without a check
#else
#define BL_ALONE
#endif

constexpr float kLowPass = 1.0f / 32768.0f;
constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer, ties to even
constexpr int32_t kRoundBits = 0x4b400000, kInfinity = 0x7f800000;

inline float from_bf16(uint16_t half) {
    const uint32_t word = static_cast<uint32_t>(half) << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

inline float load_float(const void *x, bool is_bf16, int64_t index) {
    return is_bf16 ? from_bf16(static_cast<const uint16_t *>(x)[index]) : static_cast<const float *>(x)[index];
}

inline int32_t bits_of(float value) {
    int32_t word;
    memcpy(&word, &value, sizeof word);
    return word;
}

inline float float_of(int32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// A span as float32, zero beyond the inputs; its length is a multiple of a block.
inline void widen(const void *x, bool is_bf16, int64_t first, int64_t count, int64_t length, float *wide) {
    if (is_bf16) {
        const uint16_t *halves = static_cast<const uint16_t *>(x) + first;
        for (int64_t k = 0; k < count; ++k) wide[k] = from_bf16(halves[k]);
    } else {
        memcpy(wide, static_cast<const float *>(x) + first, static_cast<size_t>(count) * sizeof(float));
    }
    for (int64_t k = count; k < length; ++k) wide[k] = 0.0f;
}

// The largest size in a span, as the bits of a float32: they order as sizes do, and above infinity is no number.
inline int32_t largest_bits(const float *wide, int64_t length) {
    int32_t largest = 0;
    for (int64_t k = 0; k < length; ++k) {
        const int32_t size = bits_of(wide[k]) & 0x7fffffff;
        largest = size > largest ? size : largest;
    }
    return largest;
}

// The step of a span whose largest size is `bits`.
inline float step_of(int32_t bits, bool to_int8) {
    const float largest = float_of(bits);
    if (to_int8) return (largest > 1e-30f ? largest : 1e-30f) / 127.0f;
    int exponent = (bits >> 23) - 126;  // largest < 2^exponent
    if (bits == 0) exponent = 1;
    if (exponent < -90) exponent = -90;
    return float_of((exponent - 14 + 127) << 23);
}

// Integers nearest to wide * inverse, and their sum; `rest` gets what is left, times 2^15.
inline int32_t to_integers(const float *BL_ALONE wide, int64_t length, float inverse, int32_t *BL_ALONE integers,
                           float *BL_ALONE rest) {
    int32_t sum = 0;
    for (int64_t k = 0; k < length; ++k) {
        const float scaled = wide[k] * inverse, shifted = scaled + kRound;
        integers[k] = bits_of(shifted) - kRoundBits;
        rest[k] = (scaled - (shifted - kRound)) * 32768.0f;
        sum += integers[k];
    }
    return sum;
}

inline void store(const int32_t *BL_ALONE integers, int64_t length, Format format, int64_t plane,
                  uint8_t *BL_ALONE out) {
    if (format == Format::kWords) {
        for (int64_t k = 0; k < length; k += 4) {
            const int16_t words[4] = {static_cast<int16_t>(integers[k]), static_cast<int16_t>(integers[k + 2]),
                                      static_cast<int16_t>(integers[k + 1]), static_cast<int16_t>(integers[k + 3])};
            memcpy(out + 2 * k, words, sizeof words);
        }
        return;
    }
    if (format == Format::kBytes) {
        for (int64_t k = 0; k < length; ++k) out[k] = static_cast<uint8_t>(integers[k]);
        return;
    }
    for (int64_t k = 0; k < length; ++k) {
        out[k] = static_cast<uint8_t>((integers[k] + 128) >> 8);
        out[plane + k] = static_cast<uint8_t>(integers[k]);
    }
}

// The largest size of a row, zero where it is not wanted.
inline int32_t row_largest(const Row &row, bool is_wanted) {
    int32_t largest = 0;
    for (int64_t k = 0; is_wanted && k < row.inputs; k += kSpan) {
        const int64_t length = row.inputs - k < kSpan ? row.inputs - k : kSpan;
        float wide[kSpan];
        widen(row.x, row.is_bf16, k, length, length, wide);
        const int32_t found = largest_bits(wide, length);
        largest = found > largest ? found : largest;
    }
    return largest;
}

void prepare(const Row &row, const Weights &weights) {
    const int64_t columns = weights.blocks * kBlock, span = weights.span_blocks * kBlock;
    const int64_t row_bytes = columns * bytes_each(row.format);
    const int64_t step_bytes = row.format == Format::kWords ? 2 : 1;
    const bool is_whole = row.to_int8 && weights.scale_step == 0;
    const int32_t whole = row_largest(row, is_whole);
    for (int64_t s = 0; s < weights.spans; ++s) {
        const int64_t first = s * span, length = first + span < columns ? span : columns - first;
        const int64_t left = row.inputs - first;
        float wide[kSpan], rest[kSpan], unused[kSpan];
        int32_t integers[kSpan];
        widen(row.x, row.is_bf16, first, left < length ? left : length, length, wide);
        const int32_t largest = is_whole ? whole : largest_bits(wide, length);
        // What is not finite makes the whole row not a number, and no integer of it is used.
        if (largest >= kInfinity) memset(wide, 0, sizeof wide);
        float step = step_of(largest >= kInfinity ? 0 : largest, row.to_int8);
        const float inverse = 1.0f / step;
        for (int pass = 0; pass < row.passes; ++pass) {
            const int64_t at = pass * weights.spans + s;
            row.sums[at] = pass == 0 ? to_integers(wide, length, inverse, integers, rest)
                                     : to_integers(rest, length, 1.0f, integers, unused);
            row.scales[at] = largest >= kInfinity ? NAN : step;
            store(integers, length, row.format, columns, row.values + pass * row_bytes + first * step_bytes);
            step *= kLowPass;
        }
    }
}

}  // namespace
}  // namespace bitloom
