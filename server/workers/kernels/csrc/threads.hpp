// Tiles shared among the engine's own threads.
#pragma once
#include <stdint.h>

namespace bitloom {

// Call body(context, i) for i in [0, count), in any order, on up to `threads` threads.
void for_each(int64_t count, int threads, void (*body)(void *context, int64_t index), void *context);

}  // namespace bitloom
