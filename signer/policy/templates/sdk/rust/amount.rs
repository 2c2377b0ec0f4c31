//! Amounts: whole numbers below 2 to the 256th, kept as the decimal digits in which facts and verdicts write them.

use core::cmp::Ordering;

/// The digits of the largest amount.
const MAX_DIGITS: usize = 78;

/// 2 to the 256th, less one.
const LARGEST: &[u8; MAX_DIGITS] = b"115792089237316195423570985008687907853269984665640564039457584007913129639935";

/// A whole number of an asset's smallest unit, a slot, an epoch, a height.
#[derive(Clone, Copy)]
pub struct Amount {
    /// ASCII, the last digit at the end; what stands before `start` means nothing.
    digits: [u8; MAX_DIGITS],
    start: usize,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount::of("0");

    /// A constant. Does not compile, or stops the module, where the text is no amount.
    pub const fn of(text: &str) -> Amount {
        match Amount::read(text.as_bytes()) {
            Some(amount) => amount,
            None => panic!("this is no amount: digits without a leading zero, below 2 to the 256th"),
        }
    }

    /// The amount with these digits; None where they are none, begin with a needless zero, or are too many.
    pub const fn read(text: &[u8]) -> Option<Amount> {
        if text.is_empty() || text.len() > MAX_DIGITS || (text[0] == b'0' && text.len() > 1) {
            return None;
        }
        let mut amount = Amount { digits: [b'0'; MAX_DIGITS], start: MAX_DIGITS - text.len() };
        let mut at = 0;
        while at < text.len() {
            if text[at] < b'0' || text[at] > b'9' {
                return None;
            }
            amount.digits[amount.start + at] = text[at];
            at += 1;
        }
        if amount.is_too_large() {
            return None;
        }
        Some(amount)
    }

    /// Both together; None where that is 2 to the 256th or more.
    pub fn plus(self, other: Amount) -> Option<Amount> {
        let mut sum = Amount { digits: [b'0'; MAX_DIGITS], start: MAX_DIGITS };
        let mut carry = 0;
        for at in (0..MAX_DIGITS).rev() {
            if at < self.start && at < other.start && carry == 0 {
                break;
            }
            let digit = self.digit(at) + other.digit(at) + carry;
            carry = digit / 10;
            sum.put(at, digit % 10);
        }
        if carry > 0 || sum.is_too_large() {
            return None;
        }
        Some(sum.trimmed())
    }

    /// What is left; None where the other is more.
    pub fn minus(self, other: Amount) -> Option<Amount> {
        if self < other {
            return None;
        }
        let mut rest = Amount { digits: [b'0'; MAX_DIGITS], start: MAX_DIGITS };
        let mut borrow = 0;
        for at in (self.start..MAX_DIGITS).rev() {
            let wanted = other.digit(at) + borrow;
            let digit = self.digit(at);
            borrow = u8::from(digit < wanted);
            rest.put(at, digit + 10 * borrow - wanted);
        }
        Some(rest.trimmed())
    }

    /// Is it nothing?
    pub fn is_zero(self) -> bool {
        self.text() == b"0"
    }

    /// Its digits.
    pub fn text(&self) -> &[u8] {
        &self.digits[self.start..]
    }

    fn digit(&self, at: usize) -> u8 {
        if at < self.start { 0 } else { self.digits[at] - b'0' }
    }

    fn put(&mut self, at: usize, digit: u8) {
        self.digits[at] = b'0' + digit;
        self.start = at;
    }

    fn trimmed(mut self) -> Amount {
        while self.start < MAX_DIGITS - 1 && self.digits[self.start] == b'0' {
            self.start += 1;
        }
        self
    }

    const fn is_too_large(&self) -> bool {
        if self.start > 0 {
            return false;
        }
        let mut at = 0;
        while at < MAX_DIGITS {
            if self.digits[at] != LARGEST[at] {
                return self.digits[at] > LARGEST[at];
            }
            at += 1;
        }
        false
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Amount) -> Ordering {
        // Neither has a leading zero: the longer is the larger.
        other.start.cmp(&self.start).then_with(|| self.text().cmp(other.text()))
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Amount) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Amount {
    fn eq(&self, other: &Amount) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Amount {}
