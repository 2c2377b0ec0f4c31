//! Says what the library makes of its facts: for the tests of the library.

#![no_std]

#[path = "../sdk/rust/holdfast.rs"]
mod holdfast;
use core::cmp::Ordering;
use holdfast::{host, Amount, Facts, Verdict};

fn decide(facts: Facts) -> Verdict {
    let transaction = facts.get("transaction");
    let (one, other) = match (transaction.get("value").amount(), transaction.get("fee_cap").amount()) {
        (Some(one), Some(other)) => (one, other),
        _ => return Verdict::deny("NOT_AN_AMOUNT", "one of the two is no amount"),
    };
    let order = match one.cmp(&other) {
        Ordering::Less => "less",
        Ordering::Equal => "equal",
        Ordering::Greater => "more",
    };
    let to = transaction.get("to");
    let listed = to.text().map_or(false, |item| host::list_contains("names", item));
    let data = transaction.get("data").text().unwrap_or(b"");
    host::log("probed");
    let verdict = Verdict::deny("PROBED", "what was found: \"\\")
        .evidence("order", order)
        .evidence("listed", if listed { "yes" } else { "no" })
        .evidence("spent", host::read_counter("spent", 60))
        .evidence("sha256", hexadecimal(&host::sha256(data), &mut [0; 64]))
        .evidence("keccak256", hexadecimal(&host::keccak256(data), &mut [0; 64]))
        .evidence("identity", facts.get("caller").get("identity"))
        .evidence("timestamp", facts.get("environment").get("timestamp"))
        .evidence("nothing", facts.get("duty").get("slot"));
    with_amount(with_amount(verdict, "sum", one.plus(other)), "rest", one.minus(other))
}

fn with_amount(verdict: Verdict, name: &str, amount: Option<Amount>) -> Verdict {
    match amount {
        Some(amount) => verdict.evidence(name, amount),
        None => verdict.evidence(name, "none"),
    }
}

fn hexadecimal<'a>(bytes: &[u8; 32], room: &'a mut [u8; 64]) -> &'a str {
    for (n, byte) in bytes.iter().enumerate() {
        room[2 * n] = b"0123456789abcdef"[usize::from(byte >> 4)];
        room[2 * n + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    core::str::from_utf8(room).unwrap_or("")
}
