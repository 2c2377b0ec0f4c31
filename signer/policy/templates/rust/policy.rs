//! Ether to listed receivers on one chain, ten a day; more than one at once needs two treasurers.

#![no_std]

#[path = "holdfast/holdfast.rs"]
mod holdfast;
use holdfast::{Amount, Facts, Verdict};

const CHAIN: &str = "eip155:1";
const RECEIVERS: &[&str] = &["0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"];

const ALONE: Amount = Amount::of("1000000000000000000"); // 1 ether
const MOST_A_DAY: Amount = Amount::of("10000000000000000000"); // 10 ether
const DAY_SECONDS: u32 = 24 * 60 * 60;

/// What is not there (another kind of request, data that could not be read) is no payment, and is denied.
fn decide(facts: Facts) -> Verdict {
    let transaction = facts.get("transaction");
    if !transaction.get("chain").is(CHAIN) {
        return Verdict::deny("CHAIN_NOT_LISTED", "this key signs for one chain only")
            .evidence("chain", transaction.get("chain"));
    }
    let amount = match transaction.get("value").amount() {
        Some(amount) if transaction.get("data").is("0x") => amount,
        _ => return Verdict::deny("NOT_A_PAYMENT", "this key pays ether, and signs nothing else"),
    };
    if !transaction.get("to").is_one_of(RECEIVERS) {
        return Verdict::deny("RECEIVER_NOT_LISTED", "the receiver is not on the list")
            .evidence("to", transaction.get("to"));
    }
    let verdict = if amount > ALONE {
        Verdict::require_approval(2, &["treasurers"], DAY_SECONDS)
    } else {
        Verdict::allow()
    };
    verdict.reserve("ether/day", DAY_SECONDS, amount, MOST_A_DAY)
}
