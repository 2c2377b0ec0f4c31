/* Memory for one decision: it is handed out and never taken back, since the whole instance is thrown away. Part of
 * holdfast.h. */

#ifndef HOLDFAST_MEMORY_H
#define HOLDFAST_MEMORY_H

enum { HF_PAGE_BYTES = 65536, HF_ALIGNMENT = 8 };

/* Where the linker's own data end. */
extern char __heap_base;

/* The first byte that nobody has, and the first behind what is ours. */
static size_t hf_next, hf_end;

/* Stops the module: the request is denied. */
__attribute__((noreturn)) static inline void hf_stop(void) {
    __builtin_trap();
}

static inline size_t hf_aligned(size_t bytes) {
    return (bytes + HF_ALIGNMENT - 1) & ~(size_t)(HF_ALIGNMENT - 1);
}

/* Room for so many bytes, aligned for everything here; null where there is none. */
static inline void *hf_allocate(size_t bytes) {
    if (hf_end == 0) {
        hf_next = hf_aligned((size_t)&__heap_base);
        hf_end = __builtin_wasm_memory_size(0) * HF_PAGE_BYTES;
    }
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t wanted = hf_aligned(bytes + 1);
    if (hf_end - hf_next < wanted) {
        size_t pages = (wanted + HF_PAGE_BYTES - 1) / HF_PAGE_BYTES;
        if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX)
            return NULL;
        hf_end += pages * HF_PAGE_BYTES;
    }
    void *place = (void *)hf_next;
    hf_next += wanted;
    return place;
}

static inline size_t hf_length(const char *text) {
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

/* Less than, equal to or more than nothing, as the first bytes sort. */
static inline int hf_compare(const char *one, size_t one_length, const char *other, size_t other_length) {
    size_t shorter = one_length < other_length ? one_length : other_length;
    for (size_t at = 0; at < shorter; at++)
        if (one[at] != other[at])
            return (unsigned char)one[at] - (unsigned char)other[at];
    return one_length == other_length ? 0 : one_length < other_length ? -1 : 1;
}

#endif
