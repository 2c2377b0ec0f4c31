/* Amounts: whole numbers below 2 to the 256th, kept as the decimal digits in which facts and verdicts write them. Part of
 * holdfast.h. */

#ifndef HOLDFAST_AMOUNT_H
#define HOLDFAST_AMOUNT_H

/* The digits of the largest amount, which is 2 to the 256th, less one. */
enum { HF_AMOUNT_DIGITS = 78 };
#define HF_LARGEST_AMOUNT "115792089237316195423570985008687907853269984665640564039457584007913129639935"

/* A whole number of an asset's smallest unit, a slot, an epoch, a height. The last digit stands at the end. */
typedef struct {
    char digits[HF_AMOUNT_DIGITS];
    int start;
} hf_amount;

static inline const char *hf_digits(const hf_amount *amount) {
    return amount->digits + amount->start;
}

/* Less than, equal to or more than nothing. Neither has a leading zero: the longer is the larger. */
static inline int hf_compare_amounts(const hf_amount *one, const hf_amount *other) {
    if (one->start != other->start)
        return other->start - one->start;
    size_t length = (size_t)(HF_AMOUNT_DIGITS - one->start);
    return hf_compare(hf_digits(one), length, hf_digits(other), length);
}

static inline bool hf_fits(const hf_amount *amount) {
    return amount->start > 0
        || hf_compare(amount->digits, HF_AMOUNT_DIGITS, HF_LARGEST_AMOUNT, HF_AMOUNT_DIGITS) <= 0;
}

/* The amount with these digits; false where they are none, begin with a needless zero, or are too many. */
static inline bool hf_read_digits(const char *text, size_t length, hf_amount *amount) {
    if (length == 0 || length > HF_AMOUNT_DIGITS || (text[0] == '0' && length > 1))
        return false;
    amount->start = HF_AMOUNT_DIGITS - (int)length;
    for (size_t at = 0; at < length; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        amount->digits[(size_t)amount->start + at] = text[at];
    }
    return hf_fits(amount);
}

/* The amount that the text writes; false where it writes none. */
static inline bool hf_read_amount(hf_value value, hf_amount *amount) {
    return hf_kind_of(value) == HF_TEXT && hf_read_digits(value.token->text, value.token->length, amount);
}

/* A constant. Stops the module where the text is no amount. */
static inline hf_amount hf_amount_of(const char *text) {
    hf_amount amount;
    if (!hf_read_digits(text, hf_length(text), &amount))
        hf_stop();
    return amount;
}

static inline int hf_digit(const hf_amount *amount, int at) {
    return at < amount->start ? 0 : amount->digits[at] - '0';
}

static inline void hf_put(hf_amount *amount, int at, int digit) {
    amount->digits[at] = (char)('0' + digit);
    amount->start = at;
}

/* Both together; false where that is 2 to the 256th or more. */
static inline bool hf_add(const hf_amount *one, const hf_amount *other, hf_amount *sum) {
    hf_amount found = {.start = HF_AMOUNT_DIGITS};
    int carry = 0, first = one->start < other->start ? one->start : other->start;
    for (int at = HF_AMOUNT_DIGITS - 1; at >= 0 && (at >= first || carry); at--) {
        int digit = hf_digit(one, at) + hf_digit(other, at) + carry;
        carry = digit / 10;
        hf_put(&found, at, digit % 10);
    }
    *sum = found;
    return carry == 0 && hf_fits(&found);
}

/* What is left; false where the other is more. */
static inline bool hf_subtract(const hf_amount *one, const hf_amount *other, hf_amount *rest) {
    if (hf_compare_amounts(one, other) < 0)
        return false;
    hf_amount found = {.start = HF_AMOUNT_DIGITS};
    int borrow = 0;
    for (int at = HF_AMOUNT_DIGITS - 1; at >= one->start; at--) {
        int digit = hf_digit(one, at) - hf_digit(other, at) - borrow;
        borrow = digit < 0;
        hf_put(&found, at, digit + 10 * borrow);
    }
    while (found.start < HF_AMOUNT_DIGITS - 1 && found.digits[found.start] == '0')
        found.start++;
    *rest = found;
    return true;
}

#endif
