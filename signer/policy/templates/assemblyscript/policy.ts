/* Ether to listed receivers on one chain, ten a day; more than one at once needs two treasurers. */

import { Amount, evaluate, Value, Verdict } from "./holdfast/holdfast";
export { holdfast_allocate } from "./holdfast/holdfast";

export function holdfast_evaluate_1(at: usize, length: usize): u64 {
  return evaluate(at, length, decide);
}

const CHAIN = "eip155:1";
const RECEIVERS: StaticArray<string> = ["0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"];
const ALONE = Amount.of("1000000000000000000"); // 1 ether
const MOST_A_DAY = Amount.of("10000000000000000000"); // 10 ether
const DAY_SECONDS: u32 = 24 * 60 * 60;

/** What is not there (another kind of request, data that could not be read) is no payment, and is denied. */
function decide(facts: Value): Verdict {
  const transaction = facts.get("transaction");
  if (!transaction.get("chain").is(CHAIN)) {
    return Verdict.deny("CHAIN_NOT_LISTED", "this key signs for one chain only")
      .evidence("chain", transaction.get("chain"));
  }
  const amount = transaction.get("value").amount();
  if (amount === null || !transaction.get("data").is("0x")) {
    return Verdict.deny("NOT_A_PAYMENT", "this key pays ether, and signs nothing else");
  }
  if (!transaction.get("to").isOneOf(RECEIVERS)) {
    return Verdict.deny("RECEIVER_NOT_LISTED", "the receiver is not on the list")
      .evidence("to", transaction.get("to"));
  }
  const verdict = amount.isMoreThan(ALONE)
    ? Verdict.requireApproval(2, ["treasurers"], DAY_SECONDS)
    : Verdict.allow();
  return verdict.reserve("ether/day", DAY_SECONDS, amount, MOST_A_DAY);
}
