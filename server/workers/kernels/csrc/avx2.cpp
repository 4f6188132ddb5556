// AVX2 and FMA: a vector of 16 words is half a tile, and both halves share the activations' broadcast.
#include "job.hpp"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "kernel.hpp"

namespace bitloom {
namespace {

struct Avx2 {
    static constexpr int kHalves = 2;
    static constexpr int kRows = 4;
    static constexpr bool kUnrolled = true;
    using Words = __m256i;
    using Sums = __m256i;
    using Floats = __m256;

    static Words load(const uint8_t *words, int half) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(words + 32 * half));
    }
    template <int N> static Words right(Words w) { return _mm256_srli_epi16(w, N); }
    template <int N> static Words left(Words w) { return _mm256_slli_epi16(w, N); }
    static Words mask(Words w, int bits) { return _mm256_and_si256(w, _mm256_set1_epi16(static_cast<short>(bits))); }
    static Words either(Words a, Words b) { return _mm256_or_si256(a, b); }
    static Words pair(const int16_t *x) {
        int32_t both;
        memcpy(&both, x, sizeof both);
        return _mm256_set1_epi32(both);
    }
    static void accumulate(Sums &sums, Words w, Words x) { sums = _mm256_add_epi32(sums, _mm256_madd_epi16(w, x)); }
    static Sums zero_sums() { return _mm256_setzero_si256(); }
    static Floats zero_floats() { return _mm256_setzero_ps(); }
    static Sums all(int value) { return _mm256_set1_epi32(value); }
    static Floats all_floats(float value) { return _mm256_set1_ps(value); }
    static Sums zero_points(const uint8_t *zero, int half) {
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(zero + 8 * half)));
    }
    static Floats scales(const void *scale, bool is_bf16, int64_t at, int half) {
        if (!is_bf16) return _mm256_loadu_ps(static_cast<const float *>(scale) + at + 8 * half);
        const uint16_t *place = static_cast<const uint16_t *>(scale) + at + 8 * half;
        const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i *>(place));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
    }
    static Sums without(Sums sums, Sums zero, int32_t sum) {
        return _mm256_sub_epi32(sums, _mm256_mullo_epi32(zero, _mm256_set1_epi32(sum)));
    }
    static Floats to_floats(Sums sums) { return _mm256_cvtepi32_ps(sums); }
    static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
    static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
    static void store(Floats floats, float *out) { _mm256_storeu_ps(out, floats); }
    static void store_words(Words words, uint16_t *out) {
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), words);
    }
    static void prefetch(const uint8_t *place) { _mm_prefetch(reinterpret_cast<const char *>(place), _MM_HINT_T0); }
};

}  // namespace

const Kernels *avx2_kernels() { return kernels_of<Avx2>(); }

}  // namespace bitloom
#else
namespace bitloom {
const Kernels *avx2_kernels() { return nullptr; }
}  // namespace bitloom
#endif
