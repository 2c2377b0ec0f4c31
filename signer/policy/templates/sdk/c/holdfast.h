/* Policies for Holdfast in C: facts to read, verdicts to give, the host's functions to ask.
 *
 *     #include "../sdk/c/holdfast.h"
 *
 *     static hf_verdict decide(hf_value facts) {
 *         if (hf_is(hf_get(hf_get(facts, "transaction"), "chain"), "eip155:1"))
 *             return hf_allow();
 *         return hf_deny("CHAIN_NOT_LISTED", "this key signs for Ethereum's main chain only");
 *     }
 *
 * One file, no C library. The policy defines `decide`, and includes this once. Whatever goes wrong in here (facts that
 * cannot be read, a verdict that does not fit) is a denial, or stops the module, which is one.
 *
 * Rule 1: facts have one spelling, canonical JSON (RFC 8785). Spaces, a name twice or out of order, a fraction, bytes
 *   behind the end: the facts are not read.
 * Rule 2: a value that is not there is a value too: every question to it has the answer that helps nobody.
 * Rule 3: a text with escapes equals no text: names, addresses and amounts have none. It can be shown as evidence.
 */

#ifndef HOLDFAST_H
#define HOLDFAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "holdfast_memory.h"
#include "holdfast_json.h"
#include "holdfast_amount.h"
#include "holdfast_verdict.h"
#include "holdfast_host.h"

/* What the policy defines. */
static hf_verdict decide(hf_value facts);

__attribute__((export_name("holdfast_allocate"))) void *holdfast_allocate(size_t bytes) {
    return hf_allocate(bytes);
}

/* Reads the facts, asks the policy, and returns the place of its verdict. */
__attribute__((export_name("holdfast_evaluate_1"))) uint64_t holdfast_evaluate_1(const char *text, size_t length) {
    hf_value facts;
    if (!hf_read(text, length, &facts))
        return hf_place(hf_deny("FACTS_UNREADABLE", "these are no facts, or there is no room to read them"));
    if (!hf_is_number(hf_get(facts, "version"), "1"))
        return hf_place(hf_deny("FACTS_OF_ANOTHER_VERSION", "this policy reads facts of version 1"));
    return hf_place(decide(facts));
}

#endif
