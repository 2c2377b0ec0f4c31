/* A staking operator's validators: duties are signed; fees go to the operator's address and nowhere else; an exit waits
 * for two people, and no more than ten leave in a day.
 *
 * Blocks whose fee recipient is not proven are signed only with keys that bear the tag `header-blocks`: of validators whose
 * client sends headers alone. Keys without it demand the proof.
 */

#include "../sdk/c/holdfast.h"

#define FEE_RECIPIENT "0xfefefefefefefefefefefefefefefefefefefefe"
#define WITHDRAWAL_ADDRESS "0xdededededededededededededededededededede"
#define HEADERS_ALONE "header-blocks"

enum { LIFETIME_SECONDS = 12 * 3600, DELAY_SECONDS = 600, DAY_SECONDS = 86400 };

/* What a validator signs every day. A type that is in none of these lists is not signed. */
static const char *const ORDINARY[] = {
    "ATTESTATION", "AGGREGATION_SLOT", "AGGREGATE_AND_PROOF", "RANDAO_REVEAL", "SYNC_COMMITTEE_MESSAGE",
    "SYNC_COMMITTEE_SELECTION_PROOF", "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF", "PAYLOAD_ATTESTATION_MESSAGE", NULL};

/* Messages that name a fee recipient themselves. */
static const char *const NAMES_FEES[] = {"VALIDATOR_REGISTRATION", "PROPOSER_PREFERENCES", NULL};

static const char *const OPERATORS[] = {"operators", NULL};

static hf_verdict wrong_recipient(hf_value duty) {
    hf_verdict denial = hf_deny("FEE_RECIPIENT_NOT_OURS", "the fees would go to somebody else");
    denial = hf_evidence(denial, "fee_recipient", hf_get(duty, "fee_recipient"));
    return hf_evidence_text(denial, "expected", FEE_RECIPIENT);
}

static hf_verdict judge_block(hf_value duty, hf_value signer) {
    hf_value recipient = hf_get(duty, "fee_recipient");
    if (hf_exists(recipient))
        return hf_is(recipient, FEE_RECIPIENT) ? hf_allow() : wrong_recipient(duty);
    if (hf_holds(hf_get(signer, "tags"), HEADERS_ALONE))
        return hf_allow();
    hf_verdict denial = hf_deny("FEE_RECIPIENT_NOT_PROVEN", "the block does not prove where its fees go");
    return hf_evidence(denial, "slot", hf_get(duty, "slot"));
}

/* Two people, and one of ten exits a day. */
static hf_verdict judge_exit(void) {
    hf_verdict verdict = hf_require_approval(2, OPERATORS, LIFETIME_SECONDS, DELAY_SECONDS);
    hf_reserve(&verdict, "exits", DAY_SECONDS, hf_amount_of("1"), hf_amount_of("10"));
    return verdict;
}

static hf_verdict decide(hf_value facts) {
    hf_value duty = hf_get(facts, "duty"), type = hf_get(duty, "type");
    if (hf_is_one_of(type, ORDINARY))
        return hf_allow();
    if (hf_is(type, "BLOCK_V2"))
        return judge_block(duty, hf_get(facts, "signer"));
    if (hf_is_one_of(type, NAMES_FEES))
        return hf_is(hf_get(duty, "fee_recipient"), FEE_RECIPIENT) ? hf_allow() : wrong_recipient(duty);
    if (hf_is(type, "VOLUNTARY_EXIT"))
        return judge_exit();
    if (hf_is(type, "BLS_TO_EXECUTION_CHANGE") && hf_is(hf_get(duty, "to_execution_address"), WITHDRAWAL_ADDRESS))
        return hf_require_approval(2, OPERATORS, LIFETIME_SECONDS, DELAY_SECONDS);
    hf_verdict denial = hf_deny("NOT_A_DUTY_OF_OURS", "validators of this operator do not sign this");
    denial = hf_evidence(denial, "type", type);
    return hf_evidence(denial, "to_execution_address", hf_get(duty, "to_execution_address"));
}
