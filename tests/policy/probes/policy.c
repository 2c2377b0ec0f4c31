/* Says what the library makes of its facts: for the tests of the library. */

#include "../sdk/c/holdfast.h"

static hf_verdict with_digest(hf_verdict verdict, const char *name, const uint8_t digest[32]) {
    char text[65] = {0};
    for (int n = 0; n < 32; n++) {
        text[2 * n] = "0123456789abcdef"[digest[n] >> 4];
        text[2 * n + 1] = "0123456789abcdef"[digest[n] & 15];
    }
    return hf_evidence_text(verdict, name, text);
}

static hf_verdict decide(hf_value facts) {
    hf_value transaction = hf_get(facts, "transaction"), data = hf_get(transaction, "data");
    hf_amount one, other, found;
    if (!hf_read_amount(hf_get(transaction, "value"), &one) || !hf_read_amount(hf_get(transaction, "fee_cap"), &other))
        return hf_deny("NOT_AN_AMOUNT", "one of the two is no amount");
    int order = hf_compare_amounts(&one, &other);
    uint8_t digest[32];
    size_t length = hf_kind_of(data) == HF_TEXT ? data.token->length : 0;
    const char *text = length ? data.token->text : "";
    hf_log("probed");
    hf_verdict verdict = hf_deny("PROBED", "what was found: \"\\");
    verdict = hf_evidence_text(verdict, "order", order < 0 ? "less" : order > 0 ? "more" : "equal");
    verdict = hf_evidence_text(verdict, "listed", hf_list_contains("names", hf_get(transaction, "to")) ? "yes" : "no");
    verdict = hf_evidence_amount(verdict, "spent", hf_read_counter("spent", 60));
    hf_sha256(text, length, digest);
    verdict = with_digest(verdict, "sha256", digest);
    hf_keccak256(text, length, digest);
    verdict = with_digest(verdict, "keccak256", digest);
    verdict = hf_evidence(verdict, "identity", hf_get(hf_get(facts, "caller"), "identity"));
    verdict = hf_evidence(verdict, "timestamp", hf_get(hf_get(facts, "environment"), "timestamp"));
    verdict = hf_evidence(verdict, "nothing", hf_get(hf_get(facts, "duty"), "slot"));
    verdict = hf_add(&one, &other, &found) ? hf_evidence_amount(verdict, "sum", found)
                                           : hf_evidence_text(verdict, "sum", "none");
    return hf_subtract(&one, &other, &found) ? hf_evidence_amount(verdict, "rest", found)
                                             : hf_evidence_text(verdict, "rest", "none");
}
