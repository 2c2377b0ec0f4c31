/* Ether to listed receivers on one chain, ten a day; more than one at once needs two treasurers. */

#include "holdfast/holdfast.h"

#define CHAIN "eip155:1"
#define ALONE "1000000000000000000"       /* 1 ether */
#define MOST_A_DAY "10000000000000000000" /* 10 ether */

enum { DAY_SECONDS = 24 * 60 * 60 };

static const char *const RECEIVERS[] = {"0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", NULL};
static const char *const TREASURERS[] = {"treasurers", NULL};

/* What is not there (another kind of request, data that could not be read) is no payment, and is denied. */
static hf_verdict decide(hf_value facts) {
    hf_value transaction = hf_get(facts, "transaction");
    hf_amount amount, alone = hf_amount_of(ALONE);
    if (!hf_is(hf_get(transaction, "chain"), CHAIN))
        return hf_evidence(
            hf_deny("CHAIN_NOT_LISTED", "this key signs for one chain only"), "chain", hf_get(transaction, "chain"));
    if (!hf_is(hf_get(transaction, "data"), "0x") || !hf_read_amount(hf_get(transaction, "value"), &amount))
        return hf_deny("NOT_A_PAYMENT", "this key pays ether, and signs nothing else");
    if (!hf_is_one_of(hf_get(transaction, "to"), RECEIVERS))
        return hf_evidence(
            hf_deny("RECEIVER_NOT_LISTED", "the receiver is not on the list"), "to", hf_get(transaction, "to"));
    hf_verdict verdict = hf_compare_amounts(&amount, &alone) > 0
        ? hf_require_approval(2, TREASURERS, DAY_SECONDS, 0)
        : hf_allow();
    hf_reserve(&verdict, "ether/day", DAY_SECONDS, amount, hf_amount_of(MOST_A_DAY));
    return verdict;
}
