// Every instruction set of this machine x width x group x symmetry x rows against plain double arithmetic,
// and what must be refused. Heap blocks have exactly the sizes that the interface asks for.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <vector>

#include "kernels.h"

namespace {

uint32_t state = 1;
uint32_t draw(uint32_t below) {  // Numerical Recipes' generator: any one will do
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

int failures = 0;
void expect(bool holds, const char *what, int a = 0, int b = 0, int c = 0) {
    if (holds) return;
    ++failures;
    fprintf(stderr, "exercise: %s (%d, %d, %d)\n", what, a, b, c);
}

struct Layer {
    int bits, group;
    int64_t outputs, inputs;
    std::vector<uint8_t> packed, zeros;
    std::vector<float> scales, dense;
    bl_weight weight;
};

Layer make(int bits, int group, int64_t outputs, int64_t inputs, bool is_symmetric) {
    Layer layer{bits, group, outputs, inputs, {}, {}, {}, {}, {}};
    const int64_t words = (inputs * bits + 31) / 32, groups = group ? inputs / group : 1;
    std::vector<uint32_t> stream(static_cast<size_t>(outputs * words));
    std::vector<uint32_t> values(static_cast<size_t>(outputs * inputs));
    for (int64_t o = 0; o < outputs; ++o)
        for (int64_t k = 0; k < inputs; ++k) {
            const uint32_t value = draw(1u << bits);
            values[o * inputs + k] = value;
            for (int b = 0; b < bits; ++b)
                stream[o * words + (k * bits + b) / 32] |= (value >> b & 1u) << ((k * bits + b) % 32);
        }
    layer.packed.resize(static_cast<size_t>(bl_packed_bytes(bits, outputs, inputs)));
    const int code = bl_repack(stream.data(), words, bits, outputs, inputs, layer.packed.data(),
                               static_cast<int64_t>(layer.packed.size()), 2);
    expect(code == BL_OK, bl_message(code), bits, group);
    const size_t count = static_cast<size_t>(bl_scale_count(group, outputs, inputs));
    layer.scales.resize(count);
    if (!is_symmetric) layer.zeros.resize(count);
    for (size_t i = 0; i < count; ++i) {
        layer.scales[i] = 0.01f + static_cast<float>(draw(1000)) / 1000.0f;
        if (!is_symmetric) layer.zeros[i] = static_cast<uint8_t>(draw(1u << bits));
    }
    layer.dense.resize(values.size());
    for (int64_t o = 0; o < outputs; ++o)
        for (int64_t k = 0; k < inputs; ++k) {
            const size_t at = static_cast<size_t>((o / 16 * groups + (group ? k / group : 0)) * 16 + o % 16);
            const int zero = is_symmetric ? 1 << (bits - 1) : layer.zeros[at];
            layer.dense[o * inputs + k] = static_cast<float>(static_cast<int>(values[o * inputs + k]) - zero) * layer.scales[at];
        }
    layer.weight = {layer.packed.data(), layer.scales.data(), is_symmetric ? nullptr : layer.zeros.data(), nullptr,
                    static_cast<int64_t>(layer.packed.size()), outputs, inputs, bits, group, 0};
    return layer;
}

// The activations of a group rounded to 8 bits, as the interface promises, back in floats.
void round_span(const float *x, int64_t count, std::vector<double> &out) {
    float largest = 1e-30f;
    for (int64_t k = 0; k < count; ++k) largest = fmaxf(largest, fabsf(x[k]));
    const float step = largest / 127.0f, inverse = 1.0f / step;
    for (int64_t k = 0; k < count; ++k) out.push_back(static_cast<double>(nearbyintf(x[k] * inverse)) * step);
}

// The products in double arithmetic, of the activations or of what 8 bits leave of them.
std::vector<double> reference(const Layer &layer, const std::vector<float> &x, int64_t rows, int mode) {
    const int64_t span = layer.group ? layer.group : layer.inputs;
    std::vector<double> exact, y;
    for (int64_t m = 0; m < rows; ++m)
        for (int64_t k = 0; k < layer.inputs; k += span) {
            const int64_t count = layer.inputs - k < span ? layer.inputs - k : span;
            const float *first = x.data() + m * layer.inputs + k;
            if (mode == BL_INT8)
                round_span(first, count, exact);
            else
                exact.insert(exact.end(), first, first + count);
        }
    for (int64_t m = 0; m < rows; ++m)
        for (int64_t o = 0; o < layer.outputs; ++o) {
            double sum = 0;
            for (int64_t k = 0; k < layer.inputs; ++k)
                sum += exact[m * layer.inputs + k] * layer.dense[o * layer.inputs + k];
            y.push_back(sum);
        }
    return y;
}

// The largest difference of a row, as a share of its largest number.
template <class F> double worst(const std::vector<double> &expected, int64_t outputs, const F &found) {
    double worst = 0;
    for (size_t first = 0; first < expected.size(); first += static_cast<size_t>(outputs)) {
        double largest = 1e-30, difference = 0;
        for (size_t i = first; i < first + static_cast<size_t>(outputs); ++i) {
            largest = fmax(largest, fabs(expected[i]));
            difference = fmax(difference, fabs(expected[i] - found(i)));
        }
        worst = fmax(worst, difference / largest);
    }
    return worst;
}

float from_half(uint16_t half) {
    const uint32_t word = static_cast<uint32_t>(half) << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

int products = 0;
// Both modes and both types on every instruction set; all instruction sets give the same bits.
void multiply(const Layer &layer, int64_t rows, int threads) {
    const size_t count = static_cast<size_t>(rows * layer.outputs);
    std::vector<float> x(static_cast<size_t>(rows * layer.inputs));
    std::vector<uint16_t> half_x;
    for (float &value : x) {  // numbers that bfloat16 holds
        value = (static_cast<float>(draw(255)) - 127.0f) / static_cast<float>(1u << draw(8));
        uint32_t word;
        memcpy(&word, &value, sizeof word);
        half_x.push_back(static_cast<uint16_t>(word >> 16));
    }
    for (int mode : {BL_EXACT, BL_INT8}) {
        const std::vector<double> expected = reference(layer, x, rows, mode);
        std::vector<float> first;
        for (int isa = 0; isa <= bl_best_isa(); ++isa) {
            std::vector<float> y(count);
            std::vector<uint16_t> half_y(count);
            int code = bl_linear(&layer.weight, x.data(), layer.inputs, rows, y.data(), layer.outputs, BL_FLOAT32, mode,
                                 isa, threads);
            expect(code == BL_OK, bl_message(code), layer.bits, layer.group, isa);
            expect(worst(expected, layer.outputs, [&](size_t i) { return y[i]; }) <= 2e-6, "float32 product",
                   layer.bits, layer.group, isa);
            code = bl_linear(&layer.weight, half_x.data(), layer.inputs, rows, half_y.data(), layer.outputs,
                             BL_BFLOAT16, mode, isa, threads);
            expect(code == BL_OK, bl_message(code), layer.bits, layer.group, isa);
            expect(worst(expected, layer.outputs, [&](size_t i) { return from_half(half_y[i]); }) <= 0.0040,
                   "bfloat16 product", layer.bits, layer.group, isa);
            if (isa == 0) first = y;
            expect(first == y, "the same bits", layer.bits, layer.group, isa);
            products += 2;
        }
    }
}

void dequantize(const Layer &layer) {
    for (int isa = 0; isa <= bl_best_isa(); ++isa) {
        std::vector<float> dense(layer.dense.size());
        const int code = bl_dequantize(&layer.weight, 0, layer.outputs, dense.data(), isa, 2);
        expect(code == BL_OK && dense == layer.dense, "dense weights", layer.bits, layer.group, isa);
    }
}

void refuse() {
    Layer layer = make(4, 32, 16, 64, true);
    float x[64] = {}, y[16] = {};
    auto call = [&](const bl_weight &weight, int64_t stride, int isa, int threads) {
        return bl_linear(&weight, x, stride, 1, y, 16, BL_FLOAT32, BL_EXACT, isa, threads);
    };
    bl_weight wrong = layer.weight;
    wrong.bits = 9;
    expect(call(wrong, 64, 0, 1) == BL_BAD_BITS, "9 bits");
    wrong = layer.weight;
    wrong.group = 48;
    expect(call(wrong, 64, 0, 1) == BL_BAD_GROUP, "groups of 48");
    wrong = layer.weight;
    wrong.packed_bytes -= 64;
    expect(call(wrong, 64, 0, 1) == BL_BAD_SIZE, "truncated");
    wrong = layer.weight;
    wrong.inputs = 0;
    expect(call(wrong, 64, 0, 1) == BL_BAD_SHAPE, "no inputs");
    wrong = layer.weight;
    wrong.scales = reinterpret_cast<const char *>(wrong.scales) + 1;
    expect(call(wrong, 64, 0, 1) == BL_MISALIGNED, "misaligned scales");
    expect(call(layer.weight, 63, 0, 1) == BL_BAD_SHAPE, "a short stride");
    expect(call(layer.weight, 64, 7, 1) == BL_BAD_ISA, "an unknown instruction set");
    expect(call(layer.weight, 64, 0, 0) == BL_BAD_THREADS, "no threads");
}

}  // namespace

int main() {
    for (int bits = 2; bits <= 8; ++bits)
        for (int group : {32, 64, 128, 0})
            for (bool is_symmetric : {true, false}) {
                const Layer even = make(bits, group, 32, 256, is_symmetric);
                const Layer odd = make(bits, group, 19, group ? group * 3 : 45, is_symmetric);
                dequantize(even);
                dequantize(odd);
                for (int rows : {1, 2, 7, 16, 64}) {
                    multiply(even, rows, 1);
                    multiply(odd, rows, 2);
                }
                multiply(odd, 577, 2);
            }
    refuse();
    printf("exercise: %d products, best instruction set %d, %d failures\n", products, bl_best_isa(), failures);
    return failures ? 1 : 0;
}
