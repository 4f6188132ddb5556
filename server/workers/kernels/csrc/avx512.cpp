// AVX-512 (F, BW, VL, VNNI): one vector is a tile, and vpdpwssd multiplies and accumulates at once.
#include "job.hpp"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)
#include <immintrin.h>

#include "kernel.hpp"

namespace bitloom {
namespace {

struct Avx512 {
    static constexpr int kHalves = 1;
    static constexpr int kRows = 8;
    static constexpr bool kUnrolled = true;
    using Words = __m512i;
    using Sums = __m512i;
    using Floats = __m512;

    static Words load(const uint8_t *words, int) { return _mm512_loadu_si512(words); }
    template <int N> static Words right(Words w) { return _mm512_srli_epi16(w, N); }
    template <int N> static Words left(Words w) { return _mm512_slli_epi16(w, N); }
    static Words mask(Words w, int bits) { return _mm512_and_si512(w, _mm512_set1_epi16(static_cast<short>(bits))); }
    static Words either(Words a, Words b) { return _mm512_or_si512(a, b); }
    static Words pair(const int16_t *x) {
        int32_t both;
        memcpy(&both, x, sizeof both);
        return _mm512_set1_epi32(both);
    }
    static void accumulate(Sums &sums, Words w, Words x) { sums = _mm512_dpwssd_epi32(sums, w, x); }
    static Sums zero_sums() { return _mm512_setzero_si512(); }
    static Floats zero_floats() { return _mm512_setzero_ps(); }
    static Sums all(int value) { return _mm512_set1_epi32(value); }
    static Floats all_floats(float value) { return _mm512_set1_ps(value); }
    static Sums zero_points(const uint8_t *zero, int) {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(zero)));
    }
    static Floats scales(const void *scale, bool is_bf16, int64_t at, int) {
        if (!is_bf16) return _mm512_loadu_ps(static_cast<const float *>(scale) + at);
        const uint16_t *place = static_cast<const uint16_t *>(scale) + at;
        const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(place));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
    }
    static Sums without(Sums sums, Sums zero, int32_t sum) {
        return _mm512_sub_epi32(sums, _mm512_mullo_epi32(zero, _mm512_set1_epi32(sum)));
    }
    static Floats to_floats(Sums sums) { return _mm512_cvtepi32_ps(sums); }
    static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
    static void store(Floats floats, float *out) { _mm512_storeu_ps(out, floats); }
    static void store_words(Words words, uint16_t *out) { _mm512_storeu_si512(out, words); }
    static void prefetch(const uint8_t *place) { _mm_prefetch(reinterpret_cast<const char *>(place), _MM_HINT_T0); }
};

}  // namespace

const Kernels *avx512_kernels() { return kernels_of<Avx512>(); }

}  // namespace bitloom
#else
namespace bitloom {
const Kernels *avx512_kernels() { return nullptr; }
}  // namespace bitloom
#endif
