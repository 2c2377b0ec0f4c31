/* Says what the library makes of its facts: for the tests of the library. */

import {
  Amount, evaluate, keccak256, listContains, log, readCounter, sha256, Value, Verdict,
} from "../sdk/assemblyscript/holdfast";
export { holdfast_allocate } from "../sdk/assemblyscript/holdfast";

export function holdfast_evaluate_1(at: usize, length: usize): u64 {
  return evaluate(at, length, decide);
}

function decide(facts: Value): Verdict {
  const transaction = facts.get("transaction");
  const data = transaction.get("data");
  const one = transaction.get("value").amount();
  const other = transaction.get("fee_cap").amount();
  if (one == null || other == null) return Verdict.deny("NOT_AN_AMOUNT", "one of the two is no amount");
  const order = one.compare(other);
  log("probed");
  const verdict = Verdict.deny("PROBED", 'what was found: "\\')
    .evidenceText("order", order < 0 ? "less" : order > 0 ? "more" : "equal")
    .evidenceText("listed", listContains("names", transaction.get("to")) ? "yes" : "no")
    .evidenceAmount("spent", readCounter("spent", 60))
    .evidenceText("sha256", hexadecimal(sha256(data.at, data.length)))
    .evidenceText("keccak256", hexadecimal(keccak256(data.at, data.length)))
    .evidence("identity", facts.get("caller").get("identity"))
    .evidence("timestamp", facts.get("environment").get("timestamp"))
    .evidence("nothing", facts.get("duty").get("slot"));
  return withAmount(withAmount(verdict, "sum", one.plus(other)), "rest", one.minus(other));
}

function withAmount(verdict: Verdict, name: string, amount: Amount | null): Verdict {
  return amount != null ? verdict.evidenceAmount(name, amount) : verdict.evidenceText(name, "none");
}

function hexadecimal(at: usize): string {
  let text = "";
  for (let n: usize = 0; n < 32; n++) {
    text += "0123456789abcdef".charAt(load<u8>(at + n) >> 4) + "0123456789abcdef".charAt(load<u8>(at + n) & 15);
  }
  return text;
}
