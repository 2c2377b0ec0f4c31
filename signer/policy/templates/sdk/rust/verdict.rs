//! Verdicts: what a policy answers, written as JSON while it is built.
//!
//! What does not fit, or would be no verdict, stops the module: the request is denied.

use super::json::{Kind, Value};
use super::memory;
use super::amount::Amount;

/// The largest answer that the signer reads.
const MAX_BYTES: usize = 16 * 1024;

/// The longest text of an evidence. A longer fact is left out: the audit log has the facts' hash.
const MAX_EVIDENCE_BYTES: usize = 512;

/// Allow, deny, or ask people first.
pub struct Verdict {
    room: *mut u8,
    length: usize,
    /// Nothing, a list of reservations or an object of evidence: what stands open at the end.
    open: Option<u8>,
}

impl Verdict {
    /// The policy has nothing against it.
    pub fn allow() -> Verdict {
        Verdict::begin("allow")
    }

    /// It is not signed. The code is stable: capital letters, digits and underscores.
    pub fn deny(code: &str, message: &str) -> Verdict {
        let mut verdict = Verdict::begin("deny");
        verdict.member("code");
        verdict.quoted(code);
        verdict.member("message");
        verdict.quoted(message);
        verdict
    }

    /// It is signed when so many members of these groups have approved within so many seconds.
    pub fn require_approval(quorum: u32, groups: &[&str], lifetime_seconds: u32) -> Verdict {
        let mut verdict = Verdict::begin("require_approval");
        verdict.member("quorum");
        verdict.number(quorum);
        verdict.member("groups");
        for (n, group) in groups.iter().enumerate() {
            verdict.byte(if n == 0 { b'[' } else { b',' });
            verdict.quoted(group);
        }
        verdict.byte(b']');
        verdict.member("lifetime_seconds");
        verdict.number(lifetime_seconds);
        verdict
    }

    /// Of an approval: nothing is signed for so many seconds after the quorum. Before any reservation.
    pub fn delayed_by(mut self, seconds: u32) -> Verdict {
        self.member("delay_seconds");
        self.number(seconds);
        self
    }

    /// The signature spends this of the counter, of which no more than the limit is spent in the window (0: ever).
    pub fn reserve(mut self, counter: &str, window_seconds: u32, amount: Amount, limit: Amount) -> Verdict {
        self.part("reserve", b'[', b']');
        self.write(b"{\"counter\":");
        self.quoted(counter);
        self.member("window_seconds");
        self.number(window_seconds);
        self.member("amount");
        self.digits(amount);
        self.member("limit");
        self.digits(limit);
        self.byte(b'}');
        self
    }

    /// Of a denial: what it rests on.
    pub fn evidence(mut self, name: &str, value: impl Evidence) -> Verdict {
        self.part("evidence", b'{', b'}');
        self.quoted(name);
        self.byte(b':');
        value.write_to(&mut self);
        self
    }

    /// The address in the upper half, the length in the lower.
    pub(crate) fn place(mut self) -> u64 {
        if let Some(closing) = self.open {
            self.byte(closing);
        }
        self.byte(b'}');
        (self.room as u64) << 32 | self.length as u64
    }

    fn begin(verdict: &str) -> Verdict {
        let room = memory::allocate(MAX_BYTES);
        if room.is_null() {
            memory::stop();
        }
        let mut begun = Verdict { room, length: 0, open: None };
        begun.write(b"{\"verdict\":");
        begun.quoted(verdict);
        begun
    }

    fn part(&mut self, name: &str, opening: u8, closing: u8) {
        if self.open.is_some() {
            self.byte(b',');
            return;
        }
        self.member(name);
        self.byte(opening);
        self.open = Some(closing);
    }

    fn member(&mut self, name: &str) {
        self.byte(b',');
        self.quoted(name);
        self.byte(b':');
    }

    fn number(&mut self, number: u32) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    fn digits(&mut self, amount: Amount) {
        self.byte(b'"');
        self.write(amount.text());
        self.byte(b'"');
    }

    fn quoted(&mut self, text: &str) {
        self.byte(b'"');
        for &byte in text.as_bytes() {
            if byte == b'"' || byte == b'\\' {
                self.byte(b'\\');
            }
            self.byte(if byte < b' ' { b' ' } else { byte });
        }
        self.byte(b'"');
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.byte(byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.length >= MAX_BYTES {
            memory::stop();
        }
        // Sound: the room has MAX_BYTES.
        unsafe { self.room.add(self.length).write(byte) };
        self.length += 1;
    }
}

/// What may stand in a denial's evidence.
pub trait Evidence {
    #[doc(hidden)]
    fn write_to(&self, verdict: &mut Verdict);
}

impl Evidence for Value {
    /// A text or a number as the facts write it; null for what is neither, or too long.
    fn write_to(&self, verdict: &mut Verdict) {
        let bytes = self.bytes();
        match self.kind() {
            Some(Kind::Text | Kind::EscapedText) if bytes.len() <= MAX_EVIDENCE_BYTES => {
                verdict.byte(b'"');
                verdict.write(bytes);
                verdict.byte(b'"');
            }
            Some(Kind::Number) => verdict.write(bytes),
            _ => verdict.write(b"null"),
        }
    }
}

impl Evidence for Amount {
    fn write_to(&self, verdict: &mut Verdict) {
        verdict.digits(*self);
    }
}

impl Evidence for &str {
    fn write_to(&self, verdict: &mut Verdict) {
        verdict.quoted(self);
    }
}

impl Evidence for u32 {
    fn write_to(&self, verdict: &mut Verdict) {
        verdict.number(*self);
    }
}
