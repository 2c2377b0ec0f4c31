/* Verdicts: what a policy answers, written as JSON while it is built. What does not fit stops the module: the request is
 * denied. Part of holdfast.h. */

#ifndef HOLDFAST_VERDICT_H
#define HOLDFAST_VERDICT_H

/* The largest answer that the signer reads, and the longest text of an evidence: a longer fact is left out. */
enum { HF_MAX_VERDICT_BYTES = 16384, HF_MAX_EVIDENCE_BYTES = 512 };

typedef struct {
    char *room;
    size_t length;
    char open; /* what closes the reservations or the evidence; 0 where there are none */
} hf_verdict;

static inline void hf_byte(hf_verdict *verdict, char byte) {
    if (verdict->length >= HF_MAX_VERDICT_BYTES)
        hf_stop();
    verdict->room[verdict->length++] = byte;
}

static inline void hf_write(hf_verdict *verdict, const char *bytes, size_t length) {
    for (size_t at = 0; at < length; at++)
        hf_byte(verdict, bytes[at]);
}

static inline void hf_quoted(hf_verdict *verdict, const char *text) {
    hf_byte(verdict, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            hf_byte(verdict, '\\');
        hf_byte(verdict, (unsigned char)*text < ' ' ? ' ' : *text);
    }
    hf_byte(verdict, '"');
}

static inline void hf_number(hf_verdict *verdict, uint32_t number) {
    char digits[10];
    size_t length = 0;
    do
        digits[length++] = (char)('0' + number % 10);
    while (number /= 10);
    while (length)
        hf_byte(verdict, digits[--length]);
}

static inline void hf_amount_text(hf_verdict *verdict, const hf_amount *amount) {
    hf_byte(verdict, '"');
    hf_write(verdict, hf_digits(amount), (size_t)(HF_AMOUNT_DIGITS - amount->start));
    hf_byte(verdict, '"');
}

static inline void hf_member(hf_verdict *verdict, const char *name) {
    hf_byte(verdict, ',');
    hf_quoted(verdict, name);
    hf_byte(verdict, ':');
}

static inline void hf_part(hf_verdict *verdict, const char *name, char opening, char closing) {
    if (verdict->open) {
        hf_byte(verdict, ',');
        return;
    }
    hf_member(verdict, name);
    hf_byte(verdict, opening);
    verdict->open = closing;
}

static inline hf_verdict hf_begin_verdict(const char *name) {
    static const char head[] = "{\"verdict\":";
    hf_verdict verdict = {.room = hf_allocate(HF_MAX_VERDICT_BYTES)};
    if (!verdict.room)
        hf_stop();
    hf_write(&verdict, head, sizeof head - 1);
    hf_quoted(&verdict, name);
    return verdict;
}

/* The policy has nothing against it. */
static inline hf_verdict hf_allow(void) {
    return hf_begin_verdict("allow");
}

/* It is not signed. The code is stable: capital letters, digits and underscores. */
static inline hf_verdict hf_deny(const char *code, const char *message) {
    hf_verdict verdict = hf_begin_verdict("deny");
    hf_member(&verdict, "code");
    hf_quoted(&verdict, code);
    hf_member(&verdict, "message");
    hf_quoted(&verdict, message);
    return verdict;
}

/* It is signed when so many members of these groups (the last is NULL) have approved within so many seconds, and so many
 * seconds after that at the earliest. */
static inline hf_verdict hf_require_approval(
    uint32_t quorum, const char *const *groups, uint32_t lifetime_seconds, uint32_t delay_seconds) {
    hf_verdict verdict = hf_begin_verdict("require_approval");
    hf_member(&verdict, "quorum");
    hf_number(&verdict, quorum);
    hf_member(&verdict, "groups");
    for (char before = '['; *groups; before = ',', groups++) {
        hf_byte(&verdict, before);
        hf_quoted(&verdict, *groups);
    }
    hf_byte(&verdict, ']');
    hf_member(&verdict, "lifetime_seconds");
    hf_number(&verdict, lifetime_seconds);
    hf_member(&verdict, "delay_seconds");
    hf_number(&verdict, delay_seconds);
    return verdict;
}

/* The signature spends this of the counter, of which no more than the limit is spent in the window (0: ever). */
static inline void hf_reserve(
    hf_verdict *verdict, const char *counter, uint32_t window_seconds, hf_amount amount, hf_amount limit) {
    hf_part(verdict, "reserve", '[', ']');
    hf_write(verdict, "{\"counter\":", 11);
    hf_quoted(verdict, counter);
    hf_member(verdict, "window_seconds");
    hf_number(verdict, window_seconds);
    hf_member(verdict, "amount");
    hf_amount_text(verdict, &amount);
    hf_member(verdict, "limit");
    hf_amount_text(verdict, &limit);
    hf_byte(verdict, '}');
}

/* Of a denial: what it rests on. A text or a number as the facts write it; null for what is neither, or too long. */
static inline hf_verdict hf_evidence(hf_verdict verdict, const char *name, hf_value value) {
    hf_part(&verdict, "evidence", '{', '}');
    hf_quoted(&verdict, name);
    hf_byte(&verdict, ':');
    hf_kind kind = hf_kind_of(value);
    if ((kind == HF_TEXT || kind == HF_ESCAPED_TEXT) && value.token->length <= HF_MAX_EVIDENCE_BYTES) {
        hf_byte(&verdict, '"');
        hf_write(&verdict, value.token->text, value.token->length);
        hf_byte(&verdict, '"');
    } else if (kind == HF_NUMBER) {
        hf_write(&verdict, value.token->text, value.token->length);
    } else {
        hf_write(&verdict, "null", 4);
    }
    return verdict;
}

/* Of a denial: what it rests on, in words of the policy's own. */
static inline hf_verdict hf_evidence_text(hf_verdict verdict, const char *name, const char *text) {
    hf_part(&verdict, "evidence", '{', '}');
    hf_quoted(&verdict, name);
    hf_byte(&verdict, ':');
    hf_quoted(&verdict, text);
    return verdict;
}

/* Of a denial: an amount that it rests on. */
static inline hf_verdict hf_evidence_amount(hf_verdict verdict, const char *name, hf_amount amount) {
    hf_part(&verdict, "evidence", '{', '}');
    hf_quoted(&verdict, name);
    hf_byte(&verdict, ':');
    hf_amount_text(&verdict, &amount);
    return verdict;
}

/* The address in the upper half, the length in the lower. */
static inline uint64_t hf_place(hf_verdict verdict) {
    if (verdict.open)
        hf_byte(&verdict, verdict.open);
    hf_byte(&verdict, '}');
    return (uint64_t)(uintptr_t)verdict.room << 32 | verdict.length;
}

#endif
