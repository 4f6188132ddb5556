// AVX2 and FMA. Bytes are multiplied by vpmaddubsw into sums of 16 bits, which hold those of a few vectors
// before they are widened; weights of 7 and 8 bits would overflow them and are multiplied as 16-bit words.
#include "job.hpp"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "kernel.hpp"

namespace bitloom {
namespace {

constexpr int64_t kAhead = 4096;  // bytes of packed weights that are asked for ahead of time

inline __m256i load(const uint8_t *place) { return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(place)); }

inline __m256i four_bytes(const uint8_t *place) {  // the same four everywhere
    int32_t both;
    memcpy(&both, place, sizeof both);
    return _mm256_set1_epi32(both);
}

// Sums are added in the order they are written: compilers reassociate them into more than the registers hold.
inline void in_order(__m256i &sum) {
#if defined(__GNUC__) || defined(__clang__)
    asm("" : "+x"(sum));
#endif
}

// Value T of a block, of the half of the tile whose lanes start at `block`.
template <int BITS, int T, int INDEX = 0> inline __m256i pieces_of(const uint8_t *block) {
    constexpr Piece piece = piece_of(BITS, T, INDEX);
    constexpr int mask = ((1 << piece.length) - 1) << piece.to;
    __m256i lanes = load(block + piece.vector * kVectorBytes);
    // Lanes are bytes, but shifts are of 16 bits: the mask also takes away what came from the neighbour.
    if constexpr (piece.from > piece.to) lanes = _mm256_srli_epi16(lanes, piece.from - piece.to);
    if constexpr (piece.from < piece.to) lanes = _mm256_slli_epi16(lanes, piece.to - piece.from);
    if constexpr (mask != 0xff) lanes = _mm256_and_si256(lanes, _mm256_set1_epi8(static_cast<char>(mask)));
    if constexpr (piece.to + piece.length < BITS) lanes = _mm256_or_si256(lanes, pieces_of<BITS, T, INDEX + 1>(block));
    return lanes;
}

// The same for a T that is a constant once the loop around is unrolled.
template <int BITS> inline __m256i value_of(const uint8_t *block, int t) {
    switch (t) {
        case 0: return pieces_of<BITS, 0>(block);
        case 1: return pieces_of<BITS, 1>(block);
        case 2: return pieces_of<BITS, 2>(block);
        case 3: return pieces_of<BITS, 3>(block);
        case 4: return pieces_of<BITS, 4>(block);
        case 5: return pieces_of<BITS, 5>(block);
        case 6: return pieces_of<BITS, 6>(block);
        default: return pieces_of<BITS, 7>(block);
    }
}

// Vectors whose products of bytes add up within 16 bits: 2 * steps * (2^bits - 1) * 128 < 2^15.
constexpr int steps_of(int bits) { return bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1; }

// Sums of 16 bits of each plane of activations, added to sums of 32.
template <int PLANES> inline void widen(const __m256i *partial, __m256i &sums) {
    if (PLANES == 2) sums = _mm256_add_epi32(sums, _mm256_madd_epi16(partial[0], _mm256_set1_epi16(256)));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(partial[PLANES - 1], _mm256_set1_epi16(1)));
    in_order(sums);
}

inline void add_words(__m256i weights, const uint8_t *x, __m256i &sums) {
    const __m256i even = _mm256_and_si256(weights, _mm256_set1_epi16(0xff)), odd = _mm256_srli_epi16(weights, 8);
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even, four_bytes(x)));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(odd, four_bytes(x + 4)));
    in_order(sums);
}

// One row of a span of packed weights, products of bytes.
template <int BITS, int PLANES> void multiply_bytes(const uint8_t *packed, int64_t blocks, Place place, __m256i *out) {
    constexpr int steps = steps_of(BITS);
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    const uint8_t *x = place.x;
    for (; blocks > 0; --blocks, packed += BITS * kVectorBytes, x += kBlock) {
        __m256i partial[2][PLANES];
#pragma GCC unroll 8
        for (int t = 0; t < kVectors; ++t) {
            __m256i bytes[PLANES];
#pragma GCC unroll 2
            for (int p = 0; p < PLANES; ++p) bytes[p] = four_bytes(x + p * place.plane + 4 * t);
#pragma GCC unroll 2
            for (int part = 0; part < 2; ++part) {
                const __m256i weights = value_of<BITS>(packed + 32 * part, t);
#pragma GCC unroll 2
                for (int p = 0; p < PLANES; ++p) {
                    const __m256i product = _mm256_maddubs_epi16(weights, bytes[p]);
                    partial[part][p] = t % steps == 0 ? product : _mm256_add_epi16(partial[part][p], product);
                    in_order(partial[part][p]);
                }
                if (t % steps == steps - 1) widen<PLANES>(partial[part], sums[part]);
            }
        }
    }
    out[0] = sums[0];
    out[1] = sums[1];
}

// One row of a span of packed weights, as words.
template <int BITS> void multiply_words(const uint8_t *packed, int64_t blocks, Place place, __m256i *out) {
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    const uint8_t *x = place.x;
    for (; blocks > 0; --blocks, packed += BITS * kVectorBytes, x += 2 * kBlock) {
#pragma GCC unroll 8
        for (int t = 0; t < kVectors; ++t) {
            add_words(value_of<BITS>(packed, t), x + 8 * t, sums[0]);
            add_words(value_of<BITS>(packed + 32, t), x + 8 * t, sums[1]);
        }
    }
    out[0] = sums[0];
    out[1] = sums[1];
}

// Four rows of a span of unpacked weights, half of its outputs.
template <int STEPS, int PLANES>
void multiply_rows_bytes(const uint8_t *values, int64_t blocks, Place place, __m256i *out) {
    __m256i sums[kMostRows];
#pragma GCC unroll 4
    for (int m = 0; m < kMostRows; ++m) sums[m] = _mm256_setzero_si256();
    const uint8_t *x = place.x;
    for (int64_t left = blocks * (kVectors / STEPS); left > 0; --left, x += 4 * STEPS) {
        __m256i partial[kMostRows][PLANES];
#pragma GCC unroll 8
        for (int t = 0; t < STEPS; ++t, values += kVectorBytes) {
            const __m256i weights = load(values);
#pragma GCC unroll 4
            for (int m = 0; m < kMostRows; ++m)
#pragma GCC unroll 2
                for (int p = 0; p < PLANES; ++p) {
                    const uint8_t *bytes = x + m * place.stride + p * place.plane + 4 * t;
                    const __m256i product = _mm256_maddubs_epi16(weights, four_bytes(bytes));
                    partial[m][p] = t == 0 ? product : _mm256_add_epi16(partial[m][p], product);
                    in_order(partial[m][p]);
                }
        }
#pragma GCC unroll 4
        for (int m = 0; m < kMostRows; ++m) widen<PLANES>(partial[m], sums[m]);
    }
#pragma GCC unroll 4
    for (int m = 0; m < kMostRows; ++m) out[m] = sums[m];
}

inline void multiply_rows_words(const uint8_t *values, int64_t blocks, Place place, __m256i *out) {
    __m256i sums[kMostRows];
#pragma GCC unroll 4
    for (int m = 0; m < kMostRows; ++m) sums[m] = _mm256_setzero_si256();
    const uint8_t *x = place.x;
    for (int64_t left = blocks * kVectors; left > 0; --left, values += kVectorBytes, x += 8) {
        const __m256i weights = load(values);
#pragma GCC unroll 4
        for (int m = 0; m < kMostRows; ++m) add_words(weights, x + m * place.stride, sums[m]);
    }
#pragma GCC unroll 4
    for (int m = 0; m < kMostRows; ++m) out[m] = sums[m];
}

struct Avx2 {
    static constexpr int kParts = 2;  // of a tile: a vector of sums each
    using Sums = __m256i;
    using Floats = __m256;

    // Two products of a byte and 8 bits, or of 7 bits and the lower plane, overflow 16 bits.
    static constexpr Format format(int bits, bool to_int8) {
        if (bits == 8 || (bits == 7 && !to_int8)) return Format::kWords;
        return to_int8 ? Format::kBytes : Format::kPlanes;
    }
    static constexpr int class_of(int bits) { return steps_of(bits); }
    template <int BITS> BL_APART static void unpack(const uint8_t *packed, int64_t blocks, uint8_t *values) {
        for (; blocks > 0; --blocks, packed += BITS * kVectorBytes)
#pragma GCC unroll 8
            for (int t = 0; t < kVectors; ++t) {
                __m256i *out = reinterpret_cast<__m256i *>(values);
                _mm256_storeu_si256(out, value_of<BITS>(packed, t));
                _mm256_storeu_si256(out + 1, value_of<BITS>(packed + 32, t));
                values += kVectorBytes;
            }
    }
    template <int BITS, Format FORMAT>
    static void multiply(const uint8_t *packed, int64_t blocks, Place place, Sums *sums) {
        for (int64_t line = 0; line < blocks * BITS; ++line)
            _mm_prefetch(reinterpret_cast<const char *>(packed) + kAhead + line * 64, _MM_HINT_T0);
        if constexpr (FORMAT == Format::kWords)
            multiply_words<BITS>(packed, blocks, place, sums);
        else
            multiply_bytes<BITS, FORMAT == Format::kPlanes ? 2 : 1>(packed, blocks, place, sums);
    }
    template <int STEPS, Format FORMAT>
    static void multiply_rows(const uint8_t *values, int64_t blocks, int part, Place place, Sums *sums) {
        values += 32 * part;
        if constexpr (FORMAT == Format::kWords)
            multiply_rows_words(values, blocks, place, sums);
        else
            multiply_rows_bytes<STEPS, FORMAT == Format::kPlanes ? 2 : 1>(values, blocks, place, sums);
    }
    static Sums all(int32_t value) { return _mm256_set1_epi32(value); }
    static Sums zero_points(const uint8_t *zero, int part) {
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(zero + 8 * part)));
    }
    static Sums times(Sums sums, int32_t factor) { return _mm256_mullo_epi32(sums, _mm256_set1_epi32(factor)); }
    static Sums less(Sums sums, Sums zero) { return _mm256_sub_epi32(sums, zero); }
    static __m256 scales(const void *scale, bool is_bf16, int64_t at, int part) {
        if (!is_bf16) return _mm256_loadu_ps(static_cast<const float *>(scale) + at + 8 * part);
        const uint16_t *place = static_cast<const uint16_t *>(scale) + at + 8 * part;
        const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i *>(place));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
    }
    static Floats add_product(Sums sums, Floats scales, float step, Floats totals) {
        return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), _mm256_mul_ps(scales, _mm256_set1_ps(step)), totals);
    }
    static void store(Floats totals, float *out) { _mm256_storeu_ps(out, totals); }
    static void widen_four(const uint8_t *values, int32_t zero, float scale, float *out) {
        int32_t four;
        memcpy(&four, values, sizeof four);
        const __m128i wide = _mm_sub_epi32(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)), _mm_set1_epi32(zero));
        _mm_storeu_ps(out, _mm_mul_ps(_mm_cvtepi32_ps(wide), _mm_set1_ps(scale)));
    }
};

}  // namespace

const Kernels *avx2_kernels() { return kernels_of<Avx2>(); }

}  // namespace bitloom
#else
namespace bitloom {
const Kernels *avx2_kernels() { return nullptr; }
}  // namespace bitloom
#endif
