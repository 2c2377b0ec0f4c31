//! The facts: a strict reader of canonical JSON (RFC 8785), which finds every value once and then only looks up.
//!
//! Rule 1: one spelling. Spaces, a name twice or out of order, a fraction, bytes behind the end: the facts are not read.
//! Rule 2: a value that is not there is a value too: every question to it has the answer that helps nobody.
//! Rule 3: a text with escapes equals no text: names, addresses and amounts have none. It can be shown as evidence.

use super::memory;
use super::amount::Amount;

/// How deeply facts may be nested; the signer's own have at most 12 levels.
const MAX_LEVELS: u32 = 32;

/// The largest whole number that every reader of JSON keeps has 16 digits.
const MAX_DIGITS: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    EscapedText,
    Number,
    True,
    False,
    Null,
}

#[derive(Clone, Copy)]
struct Token {
    kind: Kind,
    /// In the text: of a text without its quotes.
    start: u32,
    end: u32,
    /// The number of the first token behind this value and all that is in it.
    next: u32,
}

/// A text and what was found in it. There is one for each decision.
struct Document {
    text: &'static [u8],
    tokens: &'static [Token],
}

/// One value of the facts, or none. Copied freely.
#[derive(Clone, Copy)]
pub struct Value {
    document: &'static Document,
    token: Option<u32>,
}

impl Value {
    /// The member of an object with this name.
    pub fn get(self, name: &str) -> Value {
        let mut found = self.inside(Kind::Object);
        while let Some(key) = found.next() {
            let value = match found.next() {
                Some(value) => value,
                None => break,
            };
            if key.bytes() == name.as_bytes() {
                return value;
            }
        }
        Value { token: None, ..self }
    }

    /// The members of an array, in order; nothing where this is none.
    pub fn items(self) -> Items {
        self.inside(Kind::Array)
    }

    /// Is it there, and not null?
    pub fn exists(self) -> bool {
        !matches!(self.kind(), None | Some(Kind::Null))
    }

    /// Is it `true`?
    pub fn is_true(self) -> bool {
        self.kind() == Some(Kind::True)
    }

    /// Is it `false`? What is not there is neither.
    pub fn is_false(self) -> bool {
        self.kind() == Some(Kind::False)
    }

    /// Is it exactly this text?
    pub fn is(self, text: &str) -> bool {
        self.text() == Some(text.as_bytes())
    }

    /// Is it exactly one of these texts?
    pub fn is_one_of(self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.is(text))
    }

    /// Is one of its items exactly this text?
    pub fn holds(self, text: &str) -> bool {
        self.items().any(|item| item.is(text))
    }

    /// Is it the number that is written like this?
    pub fn is_number(self, number: &str) -> bool {
        self.kind() == Some(Kind::Number) && self.bytes() == number.as_bytes()
    }

    /// Are both texts, and the same?
    pub fn equals(self, other: Value) -> bool {
        self.text().is_some() && self.text() == other.text()
    }

    /// The text; None where it is no text, or one with escapes.
    pub fn text(self) -> Option<&'static [u8]> {
        match self.kind() {
            Some(Kind::Text) => Some(self.bytes()),
            _ => None,
        }
    }

    /// The amount that the text writes; None where it writes none.
    pub fn amount(self) -> Option<Amount> {
        Amount::read(self.text()?)
    }

    /// The whole number: a JSON number that is not negative.
    pub fn number(self) -> Option<u64> {
        match self.kind() {
            Some(Kind::Number) if self.bytes()[0] != b'-' => {
                Some(self.bytes().iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
            }
            _ => None,
        }
    }

    pub(crate) fn kind(self) -> Option<Kind> {
        self.found().map(|token| token.kind)
    }

    /// As it is written in the facts, a text without its quotes.
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self.found() {
            Some(token) => &self.document.text[token.start as usize..token.end as usize],
            None => &[],
        }
    }

    fn found(self) -> Option<&'static Token> {
        Some(&self.document.tokens[self.token? as usize])
    }

    fn inside(self, kind: Kind) -> Items {
        match self.found() {
            Some(token) if token.kind == kind => {
                Items { document: self.document, token: self.token.map_or(0, |token| token + 1), end: token.next }
            }
            _ => Items { document: self.document, token: 0, end: 0 },
        }
    }
}

/// The members of an array.
pub struct Items {
    document: &'static Document,
    token: u32,
    end: u32,
}

impl Iterator for Items {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        if self.token >= self.end {
            return None;
        }
        let value = Value { document: self.document, token: Some(self.token) };
        self.token = self.document.tokens[self.token as usize].next;
        Some(value)
    }
}

/// The value that this text is; None where it is not canonical JSON, or there is no room to read it.
pub(crate) fn read(text: &'static [u8]) -> Option<Value> {
    // Every value takes two bytes at least: itself and what separates it from the next.
    let most = text.len() / 2 + 1;
    let room = memory::allocate(most * core::mem::size_of::<Token>()) as *mut Token;
    let place = memory::allocate(core::mem::size_of::<Document>()) as *mut Document;
    if room.is_null() || place.is_null() || text.len() > u32::MAX as usize {
        return None;
    }
    let mut reader = Reader { text, at: 0, room, most, count: 0 };
    reader.value(0)?;
    if reader.at != text.len() {
        return None;
    }
    // Sound: the room is for `most` tokens, the reader has written the first `count`, and nobody writes there again.
    unsafe {
        let tokens = core::slice::from_raw_parts(room, reader.count);
        place.write(Document { text, tokens });
        Some(Value { document: &*place, token: Some(0) })
    }
}

/// How many of eight bytes, the first is the lowest, come before the first quote, backslash or control character.
#[inline(always)]
fn plain_bytes(eight: u64) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let quote = eight ^ ONES * b'"' as u64;
    let backslash = eight ^ ONES * b'\\' as u64;
    // A byte's highest bit: the byte was less than a space, or is zero now. A borrow makes it wrong of bytes above such a
    // one, never of the first.
    let found = eight.wrapping_sub(ONES * b' ' as u64) & !eight
        | quote.wrapping_sub(ONES) & !quote
        | backslash.wrapping_sub(ONES) & !backslash;
    (found & ONES * 128).trailing_zeros() as usize / 8
}

struct Reader {
    text: &'static [u8],
    at: usize,
    room: *mut Token,
    most: usize,
    count: usize,
}

impl Reader {
    fn value(&mut self, level: u32) -> Option<()> {
        if level > MAX_LEVELS {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(level),
            b'[' => self.array(level),
            b'"' => self.string().map(|_| ()),
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, level: u32) -> Option<()> {
        let (number, start) = (self.begin(Kind::Object)?, self.at);
        self.at += 1;
        let mut before: Option<&'static [u8]> = None;
        if !self.skip(b'}') {
            loop {
                let name = self.string()?;
                if before.map_or(false, |before| before >= name) {
                    return None;
                }
                before = Some(name);
                self.expect(b':')?;
                self.value(level + 1)?;
                if self.skip(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.finish(number, start, self.at)
    }

    fn array(&mut self, level: u32) -> Option<()> {
        let (number, start) = (self.begin(Kind::Array)?, self.at);
        self.at += 1;
        if !self.skip(b']') {
            loop {
                self.value(level + 1)?;
                if self.skip(b']') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.finish(number, start, self.at)
    }

    fn string(&mut self) -> Option<&'static [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        let mut kind = Kind::Text;
        loop {
            if self.at + 8 <= self.text.len() {
                // Sound: there are eight bytes; an address in WebAssembly needs no alignment.
                let eight = unsafe { (self.text.as_ptr().add(self.at) as *const u64).read_unaligned() };
                let plain = plain_bytes(eight);
                self.at += plain;
                if plain == 8 {
                    continue;
                }
            }
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    kind = Kind::EscapedText;
                    self.escape()?;
                }
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
        let number = self.begin(kind)?;
        self.finish(number, start, self.at)?;
        self.at += 1;
        Some(&self.text[start..self.at - 1])
    }

    fn escape(&mut self) -> Option<()> {
        self.at += 1;
        let letter = self.peek()?;
        self.at += 1;
        match letter {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                self.at += 4;
                if digits.iter().all(u8::is_ascii_hexdigit) { Some(()) } else { None }
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        self.skip(b'-');
        let first = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let digits = self.at - first;
        let is_zero = self.text.get(first) == Some(&b'0');
        if digits == 0 || digits > MAX_DIGITS || (is_zero && (digits > 1 || first > start)) {
            return None;
        }
        let number = self.begin(Kind::Number)?;
        self.finish(number, start, self.at)
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Option<()> {
        let start = self.at;
        if !self.text[start..].starts_with(word) {
            return None;
        }
        self.at += word.len();
        let number = self.begin(kind)?;
        self.finish(number, start, self.at)
    }

    /// A token for a value that begins here.
    #[inline(always)]
    fn begin(&mut self, kind: Kind) -> Option<usize> {
        if self.count >= self.most {
            return None;
        }
        let token = Token { kind, start: 0, end: 0, next: 0 };
        // Sound: the room is for `most` tokens.
        unsafe { self.room.add(self.count).write(token) };
        self.count += 1;
        Some(self.count - 1)
    }

    #[inline(always)]
    fn finish(&mut self, number: usize, start: usize, end: usize) -> Option<()> {
        // Sound: `begin` wrote this token.
        let token = unsafe { &mut *self.room.add(number) };
        token.start = start as u32;
        token.end = end as u32;
        token.next = self.count as u32;
        Some(())
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline(always)]
    fn skip(&mut self, wanted: u8) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    #[inline(always)]
    fn expect(&mut self, wanted: u8) -> Option<()> {
        if self.skip(wanted) { Some(()) } else { None }
    }
}
