// The packed layout: tiles of 16 outputs, blocks of 32 inputs, `bits` vectors of 32 16-bit words a block.
//
// Word lane l = 2*o + p of a vector belongs to output o of the tile. The 16 values of that lane are the
// inputs 2*t + p of the block, t = 0..15. A word holds floor(16/bits) of them at multiples of `bits`; the
// bits left over at the top of the block's words form one dense stream, which holds the other values.
// So a block takes bits*64 bytes, exactly `bits` a value, and most values cost one shift and one mask.
#pragma once
#include <stdint.h>

namespace bitloom {

constexpr int64_t kTile = 16;   // outputs of a tile
constexpr int64_t kBlock = 32;  // inputs of a block
constexpr int64_t kSpan = 128;  // inputs whose products are summed as integers, at most
constexpr int kFields = 16;     // values of a lane in a block

constexpr int64_t padded(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

// One piece of a value: `length` bits at `from` of word `word` that go to bit `to` of the value.
struct Piece {
    int word, from, to, length;
};

// Number of pieces of value `t`, and each of them.
constexpr int piece_count(int bits, int t);
constexpr Piece piece_of(int bits, int t, int index) {
    const int regular = 16 / bits, spare = 16 - regular * bits;
    if (t < regular * bits) return {t / regular, (t % regular) * bits, 0, bits};
    int at = (t - regular * bits) * bits, left = bits, to = 0;
    for (int seen = 0;; ++seen) {
        const int offset = at % spare;
        const int length = left < spare - offset ? left : spare - offset;
        if (seen == index) return {at / spare, regular * bits + offset, to, length};
        at += length;
        to += length;
        left -= length;
    }
}
constexpr int piece_count(int bits, int t) {
    const int regular = 16 / bits, spare = 16 - regular * bits;
    if (t < regular * bits) return 1;
    int at = (t - regular * bits) * bits, left = bits, count = 0;
    while (left > 0) {
        const int offset = at % spare;
        const int length = left < spare - offset ? left : spare - offset;
        at += length;
        left -= length;
        ++count;
    }
    return count;
}

}  // namespace bitloom
