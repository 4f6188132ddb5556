// The OpenMP pool that torch has already started is used where there is one: a pool of our own would
// fight it for the cores. It is looked up at run time, so that the library needs no OpenMP to build.
#include "threads.hpp"

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace bitloom {
namespace {

struct Share {
    std::atomic<int64_t> next;
    std::atomic<int> workers;
    int64_t count, chunk;
    void (*body)(void *, int64_t, int);
    void *context;
};

void work(void *argument) {
    Share &share = *static_cast<Share *>(argument);
    const int worker = share.workers.fetch_add(1);
    for (;;) {
        const int64_t first = share.next.fetch_add(share.chunk);
        if (first >= share.count) return;
        const int64_t end = first + share.chunk < share.count ? first + share.chunk : share.count;
        for (int64_t index = first; index < end; ++index) share.body(share.context, index, worker);
    }
}

using Parallel = void (*)(void (*)(void *), void *, unsigned, unsigned);

Parallel engine_pool() {
#if defined(__unix__) || defined(__APPLE__)
    static const Parallel found = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    return found;
#else
    return nullptr;
#endif
}

}  // namespace

void for_each(int64_t count, int threads, void (*body)(void *, int64_t, int), void *context) {
    const int64_t parts = static_cast<int64_t>(threads) * 8;
    Share share{{0}, {0}, count, count / parts > 0 ? count / parts : 1, body, context};
    if (threads <= 1 || count <= 1) {
        work(&share);
    } else if (const Parallel parallel = engine_pool()) {
        parallel(work, &share, static_cast<unsigned>(threads), 0);
    } else {
        std::vector<std::thread> others;
        try {
            for (int i = 1; i < threads; ++i) others.emplace_back(work, &share);
        } catch (const std::system_error &) {
            // No more threads are to be had: those that started, and this one, do the work.
        }
        work(&share);
        for (std::thread &other : others) other.join();
    }
}

}  // namespace bitloom
