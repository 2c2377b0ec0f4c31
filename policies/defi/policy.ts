/* A vault's key that works in DeFi: it calls listed functions of listed contracts, and nothing else. What it gets back
 * comes to the vault itself, tokens are lent to listed contracts only and no more than is written here, and no ether leaves
 * but into wrapping.
 *
 * Calls inside of calls are held to the same list, so a multicall reaches nothing that could not be called by itself.
 */

import { Amount, evaluate, Value, Verdict } from "../sdk/assemblyscript/holdfast";
export { holdfast_allocate } from "../sdk/assemblyscript/holdfast";

export function holdfast_evaluate_1(at: usize, length: usize): u64 {
  return evaluate(at, length, decide);
}

const CHAIN = "eip155:1";
const ROUTER = "0xe592427a0aece92de3edee1f18e0157c05861564";
const POOL = "0x87870bca3f3fd6335c3f4ce8392d69350b4fa4e2";
const WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2";
const USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48";
const DAY_SECONDS: u32 = 86400;

/** One function of one contract that may be called. */
class Allowed {
  constructor(
    public contract: string,
    public selector: string,
    /** What the selector stands for. */
    public signature: string,
    /** The argument that says who gets what comes of it, or who is charged; empty where it is always the caller. */
    public beneficiary: string,
    /** May ether go with it? */
    public payable: bool,
  ) {}
}

const MULTICALL = "multicall(bytes[])";
const APPROVE = "approve(address,uint256)";

const FUNCTIONS: StaticArray<Allowed> = [
  new Allowed(
    ROUTER, "0x414bf389",
    "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))", "recipient", false,
  ),
  new Allowed(ROUTER, "0xac9650d8", MULTICALL, "", false),
  new Allowed(POOL, "0x617ba037", "supply(address,uint256,address,uint16)", "onBehalfOf", false),
  new Allowed(POOL, "0x69328dec", "withdraw(address,uint256,address)", "to", false),
  new Allowed(WETH, "0xd0e30db0", "deposit()", "", true),
  new Allowed(WETH, "0x2e1a7d4d", "withdraw(uint256)", "", false),
  new Allowed(WETH, "0x095ea7b3", APPROVE, "", false),
  new Allowed(USDC, "0x095ea7b3", APPROVE, "", false),
];

/** Who may be lent tokens, and the most of each: no approval is for ever. */
const SPENDERS: StaticArray<string> = [ROUTER, POOL];
const NOTHING = Amount.of("0");
const MOST_USDC = Amount.of("1000000000000"); // 1,000,000 USDC
const MOST_WETH = Amount.of("500000000000000000000"); // 500 WETH

/** The most that is wrapped in a day, and that one transaction may cost in fees. */
const MOST_WRAPPED = Amount.of("100000000000000000000"); // 100 ether
const MOST_FEE = Amount.of("200000000000000000"); // 0.2 ether

function decide(facts: Value): Verdict {
  const transaction = facts.get("transaction");
  if (!transaction.get("chain").is(CHAIN) || !transaction.get("type").is("eip1559")) {
    return Verdict.deny("NOT_FOR_THIS_KEY", "this key signs EIP-1559 transactions for Ethereum's main chain only")
      .evidence("chain", transaction.get("chain"))
      .evidence("type", transaction.get("type"));
  }
  const fee = transaction.get("fee_cap").amount();
  if (fee == null || fee.isMoreThan(MOST_FEE)) {
    return Verdict.deny("FEE_TOO_HIGH", "the fees may be more than one transaction may cost")
      .evidence("fee_cap", transaction.get("fee_cap"))
      .evidenceAmount("limit", MOST_FEE);
  }
  const called = findBySelector(transaction.get("to"), transaction.get("selector"));
  if (called == null) return notListed(transaction.get("to"), transaction.get("selector"));
  let denial = judgeCalls(transaction, called);
  if (denial == null) denial = judgeTransfers(transaction, called);
  return denial != null ? denial : judgeValue(transaction, called);
}

/** A denial, or null where the call, and every call inside of it, is listed and serves the vault itself. */
function judgeCalls(transaction: Value, called: Allowed): Verdict | null {
  const vault = transaction.get("from");
  const call = transaction.get("call");
  const inner = transaction.get("calls").items();
  const isDecoded = call.get("contract").is(called.contract) && call.get("signature").is(called.signature);
  if (!isDecoded || (called.signature == MULTICALL && inner.length == 0)) {
    return Verdict.deny("CALL_NOT_DECODED", "what the call does could not be read")
      .evidence("to", transaction.get("to"))
      .evidence("selector", transaction.get("selector"));
  }
  if (!serves(called, call, vault)) return notOurs(call);
  for (let n = 0; n < inner.length; n++) {
    const allowed = findBySignature(inner[n].get("contract"), inner[n].get("signature"));
    if (allowed == null) return notListed(inner[n].get("contract"), inner[n].get("signature"));
    if (!serves(allowed, inner[n], vault)) return notOurs(inner[n]);
  }
  return null;
}

/** A denial, or null where no tokens are given away but lent: to a listed contract, and no more than the most. */
function judgeTransfers(transaction: Value, called: Allowed): Verdict | null {
  const transfers = transaction.get("transfers").items();
  if (called.signature == APPROVE && transfers.length != 1) {
    return Verdict.deny("CALL_NOT_DECODED", "whom the tokens are lent to could not be read");
  }
  for (let n = 0; n < transfers.length; n++) {
    const transfer = transfers[n];
    const asset = transfer.get("asset");
    const amount = transfer.get("amount").amount();
    const most = asset.is(USDC) ? MOST_USDC : asset.is(WETH) ? MOST_WETH : NOTHING;
    const isLent = transfer.get("kind").is("approve") && transfer.get("to").isOneOf(SPENDERS);
    if (!isLent || amount == null || amount.isMoreThan(most)) {
      return Verdict.deny("TOKENS_LEAVE", "tokens are given away, or more are lent than may be")
        .evidence("kind", transfer.get("kind"))
        .evidence("asset", asset)
        .evidence("to", transfer.get("to"))
        .evidence("amount", transfer.get("amount"));
    }
  }
  return null;
}

/** Ether goes nowhere but into wrapping, and so much of it in a day. */
function judgeValue(transaction: Value, called: Allowed): Verdict {
  const value = transaction.get("value").amount();
  if (value == null || (!called.payable && !value.isZero())) {
    return Verdict.deny("ETHER_LEAVES", "ether goes with a call that takes none").evidence("value", transaction.get("value"));
  }
  const verdict = Verdict.allow();
  return value.isZero() ? verdict : verdict.reserve("wrapped", DAY_SECONDS, value, MOST_WRAPPED);
}

function findBySelector(contract: Value, selector: Value): Allowed | null {
  for (let n = 0; n < FUNCTIONS.length; n++) {
    if (contract.is(FUNCTIONS[n].contract) && selector.is(FUNCTIONS[n].selector)) return FUNCTIONS[n];
  }
  return null;
}

function findBySignature(contract: Value, signature: Value): Allowed | null {
  for (let n = 0; n < FUNCTIONS.length; n++) {
    if (contract.is(FUNCTIONS[n].contract) && signature.is(FUNCTIONS[n].signature)) return FUNCTIONS[n];
  }
  return null;
}

/** Does what comes of the call come to the vault? */
function serves(allowed: Allowed, call: Value, vault: Value): bool {
  if (allowed.beneficiary == "") return true;
  const named = new Array<Value>();
  collect(call.get("arguments"), allowed.beneficiary, named);
  for (let n = 0; n < named.length; n++) {
    if (!named[n].get("value").equals(vault)) return false;
  }
  return named.length > 0;
}

/** The arguments with this name, also those inside of tuples. */
function collect(list: Value, name: string, found: Array<Value>): void {
  const items = list.items();
  for (let n = 0; n < items.length; n++) {
    if (items[n].get("name").is(name)) found.push(items[n]);
    collect(items[n].get("items"), name, found);
  }
}

function notListed(contract: Value, called: Value): Verdict {
  return Verdict.deny("CALL_NOT_LISTED", "this function of this contract is not on the list")
    .evidence("contract", contract)
    .evidence("function", called);
}

function notOurs(call: Value): Verdict {
  return Verdict.deny("NOT_FOR_THE_VAULT", "what comes of the call would not come to the vault, or nobody can know")
    .evidence("contract", call.get("contract"))
    .evidence("function", call.get("signature"));
}
