// AVX-512 (F, BW, VL, VNNI): a vector is a tile, and vpdpbusd adds four products of bytes to 32 bits at once,
// so that every width is multiplied alike.
#include "job.hpp"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)
#include <immintrin.h>

#include "kernel.hpp"

namespace bitloom {
namespace {

constexpr int64_t kAhead = 4096;  // bytes of packed weights that are asked for ahead of time

inline __m512i four_bytes(const uint8_t *place) {  // the same four everywhere
    int32_t both;
    memcpy(&both, place, sizeof both);
    return _mm512_set1_epi32(both);
}

// Value T of a block.
template <int BITS, int T, int INDEX = 0> inline __m512i pieces_of(const uint8_t *block) {
    constexpr Piece piece = piece_of(BITS, T, INDEX);
    constexpr int mask = ((1 << piece.length) - 1) << piece.to;
    __m512i lanes = _mm512_loadu_si512(block + piece.vector * kVectorBytes);
    // Lanes are bytes, but shifts are of 16 bits: the mask also takes away what came from the neighbour.
    if constexpr (piece.from > piece.to) lanes = _mm512_srli_epi16(lanes, piece.from - piece.to);
    if constexpr (piece.from < piece.to) lanes = _mm512_slli_epi16(lanes, piece.to - piece.from);
    if constexpr (mask != 0xff) lanes = _mm512_and_si512(lanes, _mm512_set1_epi8(static_cast<char>(mask)));
    if constexpr (piece.to + piece.length < BITS) lanes = _mm512_or_si512(lanes, pieces_of<BITS, T, INDEX + 1>(block));
    return lanes;
}

// The same for a T that is a constant once the loop around is unrolled.
template <int BITS> inline __m512i value_of(const uint8_t *block, int t) {
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

// The sums of the planes of activations, put together.
template <int PLANES> inline __m512i whole(const __m512i *partial) {
    if (PLANES == 1) return partial[0];
    return _mm512_add_epi32(partial[PLANES - 1], _mm512_slli_epi32(partial[0], 8));
}

// One row of a span of packed weights.
template <int BITS, int PLANES> __m512i multiply_bytes(const uint8_t *packed, int64_t blocks, Place place) {
    __m512i partial[PLANES];
#pragma GCC unroll 2
    for (int p = 0; p < PLANES; ++p) partial[p] = _mm512_setzero_si512();
    const uint8_t *x = place.x;
    for (; blocks > 0; --blocks, packed += BITS * kVectorBytes, x += kBlock)
#pragma GCC unroll 8
        for (int t = 0; t < kVectors; ++t) {
            const __m512i weights = value_of<BITS>(packed, t);
#pragma GCC unroll 2
            for (int p = 0; p < PLANES; ++p)
                partial[p] = _mm512_dpbusd_epi32(partial[p], weights, four_bytes(x + p * place.plane + 4 * t));
        }
    return whole<PLANES>(partial);
}

// Some rows of a span of unpacked weights.
template <int PLANES>
void multiply_rows_bytes(const uint8_t *values, int64_t blocks, Place place, __m512i *out) {
    __m512i partial[kMostRows][PLANES];
#pragma GCC unroll 4
    for (int m = 0; m < kMostRows; ++m)
#pragma GCC unroll 2
        for (int p = 0; p < PLANES; ++p) partial[m][p] = _mm512_setzero_si512();
    const uint8_t *x = place.x;
    for (int64_t left = blocks * kVectors; left > 0; --left, values += kVectorBytes, x += 4) {
        const __m512i weights = _mm512_loadu_si512(values);
#pragma GCC unroll 4
        for (int m = 0; m < kMostRows; ++m)
#pragma GCC unroll 2
            for (int p = 0; p < PLANES; ++p)
                partial[m][p] = _mm512_dpbusd_epi32(partial[m][p], weights,
                                                    four_bytes(x + m * place.stride + p * place.plane));
    }
#pragma GCC unroll 4
    for (int m = 0; m < kMostRows; ++m) out[m] = whole<PLANES>(partial[m]);
}

struct Avx512 {
    static constexpr int kParts = 1;
    using Sums = __m512i;
    using Floats = __m512;

    static constexpr Format format(int, bool to_int8) { return to_int8 ? Format::kBytes : Format::kPlanes; }
    static constexpr int class_of(int) { return 0; }
    template <int BITS> BL_APART static void unpack(const uint8_t *packed, int64_t blocks, uint8_t *values) {
        for (; blocks > 0; --blocks, packed += BITS * kVectorBytes)
#pragma GCC unroll 8
            for (int t = 0; t < kVectors; ++t) {
                _mm512_storeu_si512(values, value_of<BITS>(packed, t));
                values += kVectorBytes;
            }
    }
    template <int BITS, Format FORMAT>
    static void multiply(const uint8_t *packed, int64_t blocks, Place place, Sums *sums) {
        for (int64_t line = 0; line < blocks * BITS; ++line)
            _mm_prefetch(reinterpret_cast<const char *>(packed) + kAhead + line * 64, _MM_HINT_T0);
        *sums = multiply_bytes<BITS, FORMAT == Format::kPlanes ? 2 : 1>(packed, blocks, place);
    }
    template <int, Format FORMAT>
    static void multiply_rows(const uint8_t *values, int64_t blocks, int, Place place, Sums *sums) {
        multiply_rows_bytes<FORMAT == Format::kPlanes ? 2 : 1>(values, blocks, place, sums);
    }
    static Sums all(int32_t value) { return _mm512_set1_epi32(value); }
    static Sums zero_points(const uint8_t *zero, int) {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(zero)));
    }
    static Sums times(Sums sums, int32_t factor) { return _mm512_mullo_epi32(sums, _mm512_set1_epi32(factor)); }
    static Sums less(Sums sums, Sums zero) { return _mm512_sub_epi32(sums, zero); }
    static __m512 scales(const void *scale, bool is_bf16, int64_t at, int) {
        if (!is_bf16) return _mm512_loadu_ps(static_cast<const float *>(scale) + at);
        const uint16_t *place = static_cast<const uint16_t *>(scale) + at;
        const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(place));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
    }
    static Floats add_product(Sums sums, Floats scales, float step, Floats totals) {
        return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_mul_ps(scales, _mm512_set1_ps(step)), totals);
    }
    static void store(Floats totals, float *out) { _mm512_storeu_ps(out, totals); }
    static void widen_four(const uint8_t *values, int32_t zero, float scale, float *out) {
        int32_t four;
        memcpy(&four, values, sizeof four);
        const __m128i wide = _mm_sub_epi32(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)), _mm_set1_epi32(zero));
        _mm_storeu_ps(out, _mm_mul_ps(_mm_cvtepi32_ps(wide), _mm_set1_ps(scale)));
    }
};

}  // namespace

const Kernels *avx512_kernels() { return kernels_of<Avx512>(); }

}  // namespace bitloom
#else
namespace bitloom {
const Kernels *avx512_kernels() { return nullptr; }
}  // namespace bitloom
#endif
