//! A treasury's key on Ethereum's main chain: it pays ether and USDC to listed receivers, within limits for a day and a
//! week, and large payments wait for two treasurers.
//!
//! What is not a plain payment is not signed: no other call, no contract, no message, no other chain.

#![no_std]

#[path = "../sdk/rust/holdfast.rs"]
mod holdfast;
use holdfast::{host, Amount, Facts, Value, Verdict};

const CHAIN: &str = "eip155:1";
const TYPES: &[&str] = &["eip1559", "eip2930", "legacy"];
const RECEIVERS: &str = "treasury/receivers";

const DAY_SECONDS: u32 = 24 * 60 * 60;
const WEEK_SECONDS: u32 = 7 * DAY_SECONDS;

const USDC: &str = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48";
const TRANSFER: &str = "0xa9059cbb"; // transfer(address,uint256)

/// The most that one payment may burn in fees: 0.05 ether.
const MOST_FEE: Amount = Amount::of("50000000000000000");

/// What holds for payments of one asset, in its smallest unit.
struct Asset {
    day_counter: &'static str,
    week_counter: &'static str,
    most_a_day: Amount,
    most_a_week: Amount,
    /// Payments above this need people.
    alone: Amount,
}

const ETHER: Asset = Asset {
    day_counter: "ether/day",
    week_counter: "ether/week",
    most_a_day: Amount::of("50000000000000000000"),   // 50 ether
    most_a_week: Amount::of("150000000000000000000"), // 150 ether
    alone: Amount::of("5000000000000000000"),         // 5 ether
};

const DOLLARS: Asset = Asset {
    day_counter: "usdc/day",
    week_counter: "usdc/week",
    most_a_day: Amount::of("250000000000"),   // 250,000 USDC
    most_a_week: Amount::of("1000000000000"), // 1,000,000 USDC
    alone: Amount::of("25000000000"),         // 25,000 USDC
};

/// One payment, as the transaction spells it out.
struct Payment {
    asset: &'static Asset,
    to: Value,
    amount: Amount,
}

fn decide(facts: Facts) -> Verdict {
    let transaction = facts.get("transaction");
    if !transaction.get("chain").is(CHAIN) {
        return Verdict::deny("CHAIN_NOT_LISTED", "this key signs transactions for Ethereum's main chain only")
            .evidence("chain", transaction.get("chain"));
    }
    if !transaction.get("type").is_one_of(TYPES) {
        return Verdict::deny("TYPE_NOT_LISTED", "this key signs plain transactions only")
            .evidence("type", transaction.get("type"));
    }
    match transaction.get("fee_cap").amount() {
        Some(fee) if fee <= MOST_FEE => {}
        _ => {
            return Verdict::deny("FEE_TOO_HIGH", "the fees may be more than one payment may burn")
                .evidence("fee_cap", transaction.get("fee_cap"))
                .evidence("limit", MOST_FEE)
        }
    }
    match read_payment(transaction) {
        Ok(payment) => judge(payment),
        Err(denial) => denial,
    }
}

/// Ether without data, or one transfer of USDC without ether; anything else is no payment.
fn read_payment(transaction: Value) -> Result<Payment, Verdict> {
    let amount = match transaction.get("value").amount() {
        Some(amount) => amount,
        None => return Err(no_payment(transaction)),
    };
    let transfers = transaction.get("transfers");
    if transaction.get("data").is("0x") {
        let to = transaction.get("to");
        if amount.is_zero() || !to.exists() || transfers.items().count() > 0 {
            return Err(no_payment(transaction));
        }
        return Ok(Payment { asset: &ETHER, to, amount });
    }
    let called = transaction.get("to").is(USDC) && transaction.get("selector").is(TRANSFER);
    let mut found = transfers.items();
    match (found.next(), found.next()) {
        (Some(transfer), None) if called && amount.is_zero() && is_own_transfer(transfer, transaction) => {
            match transfer.get("amount").amount() {
                Some(amount) => Ok(Payment { asset: &DOLLARS, to: transfer.get("to"), amount }),
                None => Err(no_payment(transaction)),
            }
        }
        _ => Err(no_payment(transaction)),
    }
}

fn is_own_transfer(transfer: Value, transaction: Value) -> bool {
    let sender = transfer.get("from");
    transfer.get("kind").is("transfer")
        && transfer.get("asset").is(USDC)
        && (!sender.exists() || sender.equals(transaction.get("from")))
}

fn judge(payment: Payment) -> Verdict {
    let Payment { asset, to, amount } = payment;
    let listed = to.text().map_or(false, |address| host::list_contains(RECEIVERS, address));
    if !listed {
        return Verdict::deny("RECEIVER_NOT_LISTED", "the receiver is not on the treasury's list").evidence("to", to);
    }
    let verdict = if amount > asset.alone {
        Verdict::require_approval(2, &["treasurers"], DAY_SECONDS).delayed_by(600)
    } else {
        Verdict::allow()
    };
    verdict
        .reserve(asset.day_counter, DAY_SECONDS, amount, asset.most_a_day)
        .reserve(asset.week_counter, WEEK_SECONDS, amount, asset.most_a_week)
}

fn no_payment(transaction: Value) -> Verdict {
    Verdict::deny("NOT_A_PAYMENT", "this key pays ether or USDC, and signs nothing else")
        .evidence("to", transaction.get("to"))
        .evidence("selector", transaction.get("selector"))
        .evidence("value", transaction.get("value"))
}
