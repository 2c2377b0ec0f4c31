/* The facts: a strict reader of canonical JSON, which finds every value once and then only looks up. Part of
 * holdfast.h. */

#ifndef HOLDFAST_JSON_H
#define HOLDFAST_JSON_H

/* How deeply facts may be nested; the signer's own have at most 12 levels. The largest whole number that every reader of
 * JSON keeps has 16 digits. */
enum { HF_MAX_LEVELS = 32, HF_MAX_NUMBER_DIGITS = 16 };

typedef enum { HF_NONE, HF_OBJECT, HF_ARRAY, HF_TEXT, HF_ESCAPED_TEXT, HF_NUMBER, HF_TRUE, HF_FALSE, HF_NULL } hf_kind;

typedef struct hf_token {
    hf_kind kind;
    const char *text; /* of a text without its quotes */
    size_t length;
    struct hf_token *next; /* the first token behind this value and all that is in it */
} hf_token;

/* One value of the facts, or none. Copied freely. */
typedef struct {
    hf_token *token;
} hf_value;

static const hf_value HF_MISSING = {NULL};

static inline hf_kind hf_kind_of(hf_value value) {
    return value.token ? value.token->kind : HF_NONE;
}

/* The first member of an array, and the one behind a member: for (v = hf_first(a); hf_here(a, v); v = hf_behind(v)) */
static inline hf_value hf_first(hf_value array) {
    return hf_kind_of(array) == HF_ARRAY ? (hf_value){array.token + 1} : HF_MISSING;
}

static inline bool hf_here(hf_value array, hf_value member) {
    return member.token && member.token < array.token->next;
}

static inline hf_value hf_behind(hf_value member) {
    return (hf_value){member.token->next};
}

/* The members of an array; 0 where this is none. */
static inline size_t hf_count(hf_value array) {
    size_t count = 0;
    for (hf_value each = hf_first(array); hf_here(array, each); each = hf_behind(each))
        count++;
    return count;
}

/* The member of an object with this name. */
static inline hf_value hf_get(hf_value object, const char *name) {
    if (hf_kind_of(object) != HF_OBJECT)
        return HF_MISSING;
    size_t length = hf_length(name);
    for (hf_token *key = object.token + 1; key < object.token->next; key = key->next->next)
        if (hf_compare(key->text, key->length, name, length) == 0)
            return (hf_value){key->next};
    return HF_MISSING;
}

/* Is it there, and not null? */
static inline bool hf_exists(hf_value value) {
    return hf_kind_of(value) != HF_NONE && hf_kind_of(value) != HF_NULL;
}

static inline bool hf_is_true(hf_value value) {
    return hf_kind_of(value) == HF_TRUE;
}

/* Is it `false`? What is not there is neither. */
static inline bool hf_is_false(hf_value value) {
    return hf_kind_of(value) == HF_FALSE;
}

/* Is it exactly this text? */
static inline bool hf_is(hf_value value, const char *text) {
    return hf_kind_of(value) == HF_TEXT
        && hf_compare(value.token->text, value.token->length, text, hf_length(text)) == 0;
}

/* Is it exactly one of these texts? The last of them is NULL. */
static inline bool hf_is_one_of(hf_value value, const char *const *texts) {
    for (; *texts; texts++)
        if (hf_is(value, *texts))
            return true;
    return false;
}

/* Is one of its members exactly this text? */
static inline bool hf_holds(hf_value array, const char *text) {
    for (hf_value each = hf_first(array); hf_here(array, each); each = hf_behind(each))
        if (hf_is(each, text))
            return true;
    return false;
}

/* Are both texts, and the same? */
static inline bool hf_equals(hf_value one, hf_value other) {
    return hf_kind_of(one) == HF_TEXT && hf_kind_of(other) == HF_TEXT
        && hf_compare(one.token->text, one.token->length, other.token->text, other.token->length) == 0;
}

/* Is it the number that is written like this? */
static inline bool hf_is_number(hf_value value, const char *number) {
    return hf_kind_of(value) == HF_NUMBER
        && hf_compare(value.token->text, value.token->length, number, hf_length(number)) == 0;
}

/* --- reading ------------------------------------------------------------------------------------------ */

typedef struct {
    const char *at;
    const char *end;
    hf_token *next;
    hf_token *last; /* behind the room for tokens */
} hf_reader;

static inline bool hf_skip(hf_reader *reader, char wanted) {
    if (reader->at == reader->end || *reader->at != wanted)
        return false;
    reader->at++;
    return true;
}

static inline hf_token *hf_begin(hf_reader *reader, hf_kind kind, const char *text) {
    if (reader->next == reader->last)
        return NULL;
    hf_token *token = reader->next++;
    token->kind = kind;
    token->text = text;
    return token;
}

static inline bool hf_finish(hf_reader *reader, hf_token *token, const char *end) {
    token->length = (size_t)(end - token->text);
    token->next = reader->next;
    return true;
}

/* How many of eight bytes come before the first quote, backslash or control character. A byte's highest bit in `found`:
 * the byte was less than a space, or is zero after the XOR. A borrow makes it wrong of bytes above such a one, never of
 * the first. */
static inline size_t hf_plain_bytes(const char *at) {
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t eight;
    __builtin_memcpy(&eight, at, 8);
    uint64_t quote = eight ^ ones * '"', backslash = eight ^ ones * '\\';
    uint64_t found = ((eight - ones * ' ') & ~eight) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash);
    found &= ones * 128;
    return found ? (size_t)__builtin_ctzll(found) / 8 : 8;
}

static inline bool hf_is_hexadecimal(char digit) {
    return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f') || (digit >= 'A' && digit <= 'F');
}

static inline bool hf_read_escape(hf_reader *reader) {
    reader->at++;
    if (reader->at == reader->end)
        return false;
    char letter = *reader->at++;
    if (letter == 'u') {
        if (reader->end - reader->at < 4)
            return false;
        for (const char *after = reader->at + 4; reader->at < after; reader->at++)
            if (!hf_is_hexadecimal(*reader->at))
                return false;
        return true;
    }
    return letter == '"' || letter == '\\' || letter == 'b' || letter == 'f' || letter == 'n' || letter == 'r'
        || letter == 't';
}

static inline hf_token *hf_read_text(hf_reader *reader) {
    if (!hf_skip(reader, '"'))
        return NULL;
    hf_token *token = hf_begin(reader, HF_TEXT, reader->at);
    if (!token)
        return NULL;
    for (;;) {
        if (reader->end - reader->at >= 8) {
            size_t plain = hf_plain_bytes(reader->at);
            reader->at += plain;
            if (plain == 8)
                continue;
        }
        if (reader->at == reader->end || (unsigned char)*reader->at < ' ')
            return NULL;
        if (*reader->at == '"')
            break;
        if (*reader->at == '\\') {
            token->kind = HF_ESCAPED_TEXT;
            if (!hf_read_escape(reader))
                return NULL;
        } else {
            reader->at++;
        }
    }
    hf_finish(reader, token, reader->at++);
    return token;
}

static inline bool hf_read_number(hf_reader *reader) {
    hf_token *token = hf_begin(reader, HF_NUMBER, reader->at);
    bool negative = hf_skip(reader, '-');
    const char *first = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    ptrdiff_t digits = reader->at - first;
    if (!token || digits == 0 || digits > HF_MAX_NUMBER_DIGITS || (*first == '0' && (digits > 1 || negative)))
        return false;
    return hf_finish(reader, token, reader->at);
}

static inline bool hf_read_word(hf_reader *reader, const char *word, hf_kind kind) {
    hf_token *token = hf_begin(reader, kind, reader->at);
    while (*word)
        if (!hf_skip(reader, *word++))
            return false;
    return token && hf_finish(reader, token, reader->at);
}

static bool hf_read_value(hf_reader *reader, int level);

static bool hf_read_object(hf_reader *reader, int level) {
    hf_token *token = hf_begin(reader, HF_OBJECT, reader->at++), *before = NULL;
    if (!token)
        return false;
    bool closed = hf_skip(reader, '}');
    while (!closed) {
        hf_token *name = hf_read_text(reader);
        if (!name || (before && hf_compare(before->text, before->length, name->text, name->length) >= 0))
            return false;
        before = name;
        if (!hf_skip(reader, ':') || !hf_read_value(reader, level + 1))
            return false;
        closed = hf_skip(reader, '}');
        if (!closed && !hf_skip(reader, ','))
            return false;
    }
    return hf_finish(reader, token, reader->at);
}

static bool hf_read_array(hf_reader *reader, int level) {
    hf_token *token = hf_begin(reader, HF_ARRAY, reader->at++);
    if (!token)
        return false;
    bool closed = hf_skip(reader, ']');
    while (!closed) {
        if (!hf_read_value(reader, level + 1))
            return false;
        closed = hf_skip(reader, ']');
        if (!closed && !hf_skip(reader, ','))
            return false;
    }
    return hf_finish(reader, token, reader->at);
}

static bool hf_read_value(hf_reader *reader, int level) {
    if (level > HF_MAX_LEVELS || reader->at == reader->end)
        return false;
    switch (*reader->at) {
    case '{': return hf_read_object(reader, level);
    case '[': return hf_read_array(reader, level);
    case '"': return hf_read_text(reader) != NULL;
    case 't': return hf_read_word(reader, "true", HF_TRUE);
    case 'f': return hf_read_word(reader, "false", HF_FALSE);
    case 'n': return hf_read_word(reader, "null", HF_NULL);
    default: return hf_read_number(reader);
    }
}

/* The value that this text is; false where it is not canonical JSON, or there is no room to read it. */
static inline bool hf_read(const char *text, size_t length, hf_value *value) {
    /* Every value takes two bytes at least: itself and what separates it from the next. */
    size_t most = length / 2 + 1;
    hf_token *room = most > SIZE_MAX / 2 / sizeof(hf_token) ? NULL : hf_allocate(most * sizeof(hf_token));
    hf_reader reader = {text, text + length, room, room + most};
    if (!room || !hf_read_value(&reader, 0) || reader.at != reader.end)
        return false;
    *value = (hf_value){room};
    return true;
}

#endif
