// Tiles shared among the engine's own threads.
#pragma once
#include <stdint.h>

namespace bitloom {

// Call body(context, i, w) for i in [0, count), in any order, on up to `threads` threads: the w-th of them.
void for_each(int64_t count, int threads, void (*body)(void *context, int64_t index, int worker), void *context);

}  // namespace bitloom
