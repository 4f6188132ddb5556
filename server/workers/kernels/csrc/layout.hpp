// The packed layout: tiles of 16 outputs, blocks of 32 inputs, `bits` vectors of 64 bytes a block.
//
// Unpacked, a block is 8 vectors of 64 bytes: byte 4*o + i of vector t is input 4*t + i of output o, as the
// byte products of AVX2 (vpmaddubsw) and VNNI (vpdpbusd) want it. Packed, the byte of a lane in each of the
// `bits` vectors holds floor(8/bits) whole values at multiples of `bits`; the bits left over at the top of
// the lane's bytes form one dense stream, which holds the other values. So a block takes exactly `bits` a
// value, and most values cost one shift and one mask. (Planes of 2 and 1 bits would cost 3 bits twice that.)
#pragma once
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define BL_APART __attribute__((noinline))  // one copy, however many callers: for time to compile
#else
#define BL_APART
#endif

namespace bitloom {

constexpr int64_t kTile = 16;    // outputs of a tile
constexpr int64_t kBlock = 32;   // inputs of a block
constexpr int64_t kSpan = 128;   // inputs whose products are summed as integers, at most
constexpr int kVectors = 8;      // unpacked vectors of a block
constexpr int kVectorBytes = 64;
constexpr int64_t kBlockValues = kTile * kBlock;

constexpr int64_t padded(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

// One piece of a value: `length` bits at `from` of the lane's byte in `vector`, that go to bit `to` of the value.
struct Piece {
    int vector, from, to, length;
};

// Piece `index` of value t of a lane; one of length 0 after the last.
constexpr Piece piece_of(int bits, int t, int index) {
    const int whole = 8 / bits, spare = 8 - whole * bits;
    if (t < whole * bits) return {t / whole, t % whole * bits, 0, index == 0 ? bits : 0};
    int at = (t - whole * bits) * bits, left = bits, to = 0;
    for (int seen = 0; left > 0; ++seen) {
        const int offset = at % spare;
        const int length = left < spare - offset ? left : spare - offset;
        if (seen == index) return {at / spare, whole * bits + offset, to, length};
        at += length;
        to += length;
        left -= length;
    }
    return {0, 0, 0, 0};
}

}  // namespace bitloom
