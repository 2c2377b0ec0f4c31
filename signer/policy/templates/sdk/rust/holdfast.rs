//! Policies for Holdfast in Rust: facts to read, verdicts to give, the host's functions to ask.
//!
//! ```ignore
//! #![no_std]
//!
//! #[path = "../sdk/rust/holdfast.rs"]
//! mod holdfast;
//! use holdfast::{Facts, Verdict};
//!
//! fn decide(facts: Facts) -> Verdict {
//!     if facts.get("transaction").get("chain").is("eip155:1") {
//!         return Verdict::allow();
//!     }
//!     Verdict::deny("CHAIN_NOT_LISTED", "this key signs for Ethereum's main chain only")
//! }
//! ```
//!
//! The policy is the crate's root, and its `decide` is what decides. Needs no crate, no allocator and nothing newer
//! than Rust 1.63. Whatever goes wrong in here (facts that cannot be read, a verdict that does not fit) is a denial, or
//! stops the module, which is one.

#![allow(dead_code, unused_imports)] // a policy uses what it needs

mod amount;
pub mod host;
mod json;
mod memory;
mod verdict;

pub use amount::Amount;
pub use json::{Items, Value};
pub use verdict::{Evidence, Verdict};

/// Everything that the policy is told: the fields of `policies/facts.schema.json`.
pub type Facts = Value;

/// The version of the facts that this SDK reads.
const FACTS_VERSION: &str = "1";

#[no_mangle]
extern "C" fn holdfast_allocate(bytes: usize) -> *mut u8 {
    memory::allocate(bytes)
}

/// Reads the facts, asks the policy, and returns the place of its verdict.
#[no_mangle]
extern "C" fn holdfast_evaluate_1(at: *const u8, bytes: usize) -> u64 {
    // Sound: the host wrote the facts there, and nothing writes there again.
    let text = unsafe { core::slice::from_raw_parts(at, bytes) };
    let verdict = match json::read(text) {
        Some(facts) if facts.get("version").is_number(FACTS_VERSION) => super::decide(facts),
        Some(_) => Verdict::deny("FACTS_OF_ANOTHER_VERSION", "this policy reads facts of version 1"),
        None => Verdict::deny("FACTS_UNREADABLE", "these are no facts, or there is no room to read them"),
    };
    verdict.place()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    memory::stop()
}
