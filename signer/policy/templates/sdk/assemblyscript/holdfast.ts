/* Policies for Holdfast in AssemblyScript: facts to read, verdicts to give, the host's functions to ask.
 *
 *     import { evaluate, Value, Verdict } from "../sdk/assemblyscript/holdfast";
 *     export { holdfast_allocate } from "../sdk/assemblyscript/holdfast";
 *
 *     export function holdfast_evaluate_1(at: usize, length: usize): u64 {
 *       return evaluate(at, length, decide);
 *     }
 *
 *     function decide(facts: Value): Verdict {
 *       if (facts.get("transaction").get("chain").is("eip155:1")) return Verdict.allow();
 *       return Verdict.deny("CHAIN_NOT_LISTED", "this key signs for Ethereum's main chain only");
 *     }
 *
 * Whatever goes wrong in here (facts that cannot be read, a verdict that does not fit) is a denial, or stops the module,
 * which is one.
 */

import { read, Value } from "./json";
import { Verdict } from "./verdict";

export { Amount } from "./amount";
export { Value } from "./json";
export { Verdict } from "./verdict";
export { keccak256, listContains, log, readCounter, sha256 } from "./host";

/** The version of the facts that this SDK reads. */
const FACTS_VERSION = "1";

/** Room for the facts. */
export function holdfast_allocate(bytes: usize): usize {
  return heap.alloc(bytes);
}

/** Reads the facts, asks the policy, and returns the place of its verdict. */
export function evaluate(at: usize, length: usize, decide: (facts: Value) => Verdict): u64 {
  const facts = read(at, length);
  if (!facts.exists()) {
    return Verdict.deny("FACTS_UNREADABLE", "these are no facts, or there is no room to read them").place();
  }
  if (!facts.get("version").isNumber(FACTS_VERSION)) {
    return Verdict.deny("FACTS_OF_ANOTHER_VERSION", "this policy reads facts of version 1").place();
  }
  return decide(facts).place();
}
