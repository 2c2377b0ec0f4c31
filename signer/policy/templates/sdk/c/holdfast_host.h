/* What a policy may ask of the signer beside its facts. Each function must be granted by the manifest, and each counter
 * and list by its name; asking for another stops the module, and the request is denied. Part of holdfast.h. */

#ifndef HOLDFAST_HOST_H
#define HOLDFAST_HOST_H

#define HF_IMPORT(name) __attribute__((import_module("holdfast"), import_name(name)))

HF_IMPORT("read_counter")
size_t hf_import_read_counter(const char *name, size_t name_length, uint32_t window_seconds, char *answer);
HF_IMPORT("list_contains")
int hf_import_list_contains(const char *name, size_t name_length, const char *item, size_t item_length);
HF_IMPORT("sha256") void hf_import_sha256(const void *data, size_t length, uint8_t *answer);
HF_IMPORT("keccak256") void hf_import_keccak256(const void *data, size_t length, uint8_t *answer);
HF_IMPORT("log") void hf_import_log(const char *text, size_t length);

/* What has been spent of the counter within the window; of all time where that is 0. */
static inline hf_amount hf_read_counter(const char *name, uint32_t window_seconds) {
    char digits[HF_AMOUNT_DIGITS];
    hf_amount amount;
    size_t length = hf_import_read_counter(name, hf_length(name), window_seconds, digits);
    if (!hf_read_digits(digits, length, &amount))
        hf_stop();
    return amount;
}

/* Does the list hold exactly this text? False for what is no text. */
static inline bool hf_list_contains(const char *name, hf_value item) {
    return hf_kind_of(item) == HF_TEXT
        && hf_import_list_contains(name, hf_length(name), item.token->text, item.token->length) == 1;
}

/* SHA-256, 32 bytes. */
static inline void hf_sha256(const void *data, size_t length, uint8_t digest[32]) {
    hf_import_sha256(data, length, digest);
}

/* Ethereum's Keccak-256, 32 bytes. */
static inline void hf_keccak256(const void *data, size_t length, uint8_t digest[32]) {
    hf_import_keccak256(data, length, digest);
}

/* A line for whoever tries the policy out. */
static inline void hf_log(const char *text) {
    hf_import_log(text, hf_length(text));
}

#endif
