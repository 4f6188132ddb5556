// Plain C++: any machine, and the reference of the others.
#include "kernel.hpp"

namespace bitloom {
namespace {

struct Portable {
    static constexpr int kHalves = 1;
    static constexpr int kRows = 4;
    static constexpr bool kUnrolled = false;
    struct Words { uint16_t at[32]; };
    struct Sums { int32_t at[16]; };
    struct Floats { float at[16]; };

    // Value `t` of a block, computed at run time: unrolled over plain arrays it would take minutes to compile.
    static Words field(const uint8_t *words, int bits, int t) {
        Words out{};
        for (int i = 0; i < piece_count(bits, t); ++i) {
            const Piece piece = piece_of(bits, t, i);
            uint16_t lanes[32];
            memcpy(lanes, words + piece.word * 64, sizeof lanes);
            const int mask = (1 << piece.length) - 1;
            for (int l = 0; l < 32; ++l)
                out.at[l] = static_cast<uint16_t>(out.at[l] | (((lanes[l] >> piece.from) & mask) << piece.to));
        }
        return out;
    }
    static Words pair(const int16_t *x) {
        Words out;
        for (int i = 0; i < 32; ++i) out.at[i] = static_cast<uint16_t>(x[i % 2]);
        return out;
    }
    static void accumulate(Sums &sums, const Words &w, const Words &x) {
        for (int o = 0; o < 16; ++o)
            for (int p = 0; p < 2; ++p)
                sums.at[o] += static_cast<int32_t>(w.at[2 * o + p]) * static_cast<int16_t>(x.at[2 * o + p]);
    }
    static Sums zero_sums() { return Sums{}; }
    static Floats zero_floats() { return Floats{}; }
    static Sums all(int value) {
        Sums out;
        for (int32_t &lane : out.at) lane = value;
        return out;
    }
    static Floats all_floats(float value) {
        Floats out;
        for (float &lane : out.at) lane = value;
        return out;
    }
    static Sums zero_points(const uint8_t *zero, int) {
        Sums out;
        for (int o = 0; o < 16; ++o) out.at[o] = zero[o];
        return out;
    }
    static Floats scales(const void *scale, bool is_bf16, int64_t at, int) {
        Floats out;
        for (int o = 0; o < 16; ++o) out.at[o] = load_float(scale, is_bf16, at + o);
        return out;
    }
    static Sums without(Sums sums, const Sums &zero, int32_t sum) {
        for (int o = 0; o < 16; ++o) sums.at[o] -= zero.at[o] * sum;
        return sums;
    }
    static Floats to_floats(const Sums &sums) {
        Floats out;
        for (int o = 0; o < 16; ++o) out.at[o] = static_cast<float>(sums.at[o]);
        return out;
    }
    static Floats multiply(Floats a, const Floats &b) {
        for (int o = 0; o < 16; ++o) a.at[o] *= b.at[o];
        return a;
    }
    static Floats multiply_add(const Floats &a, const Floats &b, Floats c) {
        for (int o = 0; o < 16; ++o) c.at[o] = fmaf(a.at[o], b.at[o], c.at[o]);
        return c;
    }
    static void store(const Floats &floats, float *out) { memcpy(out, floats.at, sizeof floats.at); }
    static void store_words(const Words &words, uint16_t *out) { memcpy(out, words.at, sizeof words.at); }
    static void prefetch(const uint8_t *) {}
};

}  // namespace

const Kernels *portable_kernels() { return kernels_of<Portable>(); }

}  // namespace bitloom
