//! What a policy may ask of the signer beside its facts. Each function must be granted by the manifest, and each
//! counter and list by its name; asking for another stops the module, and the request is denied.

use super::memory;
use super::amount::Amount;

/// Room that a counter's digits may need.
const COUNTER_BYTES: usize = 78;

mod imports {
    #[link(wasm_import_module = "holdfast")]
    extern "C" {
        pub fn read_counter(name: *const u8, name_length: usize, window_seconds: u32, answer: *mut u8) -> usize;
        pub fn list_contains(name: *const u8, name_length: usize, item: *const u8, item_length: usize) -> u32;
        pub fn sha256(data: *const u8, length: usize, answer: *mut u8);
        pub fn keccak256(data: *const u8, length: usize, answer: *mut u8);
        pub fn log(text: *const u8, length: usize);
    }
}

/// What has been spent of the counter within the window; of all time where that is 0.
pub fn read_counter(name: &str, window_seconds: u32) -> Amount {
    let mut digits = [0; COUNTER_BYTES];
    // Sound: the host writes no more than the digits of the largest amount.
    let length = unsafe { imports::read_counter(name.as_ptr(), name.len(), window_seconds, digits.as_mut_ptr()) };
    match digits.get(..length).and_then(Amount::read) {
        Some(amount) => amount,
        None => memory::stop(),
    }
}

/// Does the list hold exactly this text?
pub fn list_contains(name: &str, item: &[u8]) -> bool {
    // Sound, as all of these: the host reads what is named, and writes 32 bytes where it writes.
    unsafe { imports::list_contains(name.as_ptr(), name.len(), item.as_ptr(), item.len()) == 1 }
}

/// SHA-256.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    unsafe { imports::sha256(data.as_ptr(), data.len(), digest.as_mut_ptr()) };
    digest
}

/// Ethereum's Keccak-256.
pub fn keccak256(data: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    unsafe { imports::keccak256(data.as_ptr(), data.len(), digest.as_mut_ptr()) };
    digest
}

/// A line for whoever tries the policy out.
pub fn log(text: &str) {
    unsafe { imports::log(text.as_ptr(), text.len()) };
}
