/* The facts: a strict reader of canonical JSON (RFC 8785), which finds every value once and then only looks up.
 *
 * Rule 1: one spelling. Spaces, a name twice or out of order, a fraction, bytes behind the end: the facts are not read.
 * Rule 2: a value that is not there is a value too: every question to it has the answer that helps nobody.
 * Rule 3: a text with escapes equals no text: names, addresses and amounts have none. It can be shown as evidence.
 */

import { Amount } from "./amount";
import { areText, compareBytes } from "./bytes";

/** How deeply facts may be nested; the signer's own have at most 12 levels. */
const MAX_LEVELS = 32;

/** The largest whole number that every reader of JSON keeps has 16 digits. */
const MAX_DIGITS: usize = 16;

export const enum Kind { None, Object, Array, Text, EscapedText, Number, True, False, Null }

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;
const MINUS: u8 = 0x2d;
const ZERO: u8 = 0x30;
const SPACE: u8 = 0x20;
const OPENING_BRACE: u8 = 0x7b;
const CLOSING_BRACE: u8 = 0x7d;
const OPENING_BRACKET: u8 = 0x5b;
const CLOSING_BRACKET: u8 = 0x5d;
const ONES: u64 = 0x0101010101010101;

/** One value of the facts, or none. Values of one text lie behind each other, each before those that are in it. */
@unmanaged
export class Value {
  kind: Kind;
  /** Where it is written; of a text without its quotes. */
  at: usize;
  length: usize;
  /** The first value behind this one and all that is in it. */
  next: usize;

  /** The member of an object with this name. */
  get(name: string): Value {
    if (this.kind != Kind.Object) return MISSING;
    let place = this.inside();
    while (place < this.next) {
      const key = changetype<Value>(place);
      if (areText(key.at, key.length, name)) return changetype<Value>(key.next);
      place = changetype<Value>(key.next).next;
    }
    return MISSING;
  }

  /** The members of an array, in order; nothing where this is none. */
  items(): Array<Value> {
    const found = new Array<Value>();
    if (this.kind != Kind.Array) return found;
    for (let place = this.inside(); place < this.next; place = changetype<Value>(place).next) {
      found.push(changetype<Value>(place));
    }
    return found;
  }

  /** Is it there, and not null? */
  exists(): bool {
    return this.kind != Kind.None && this.kind != Kind.Null;
  }

  /** Is it `true`? */
  isTrue(): bool {
    return this.kind == Kind.True;
  }

  /** Is it `false`? What is not there is neither. */
  isFalse(): bool {
    return this.kind == Kind.False;
  }

  /** Is it exactly this text? */
  is(text: string): bool {
    return this.kind == Kind.Text && areText(this.at, this.length, text);
  }

  /** Is it exactly one of these texts? */
  isOneOf(texts: StaticArray<string>): bool {
    for (let n = 0; n < texts.length; n++) {
      if (this.is(texts[n])) return true;
    }
    return false;
  }

  /** Is one of its members exactly this text? */
  holds(text: string): bool {
    const items = this.items();
    for (let n = 0; n < items.length; n++) {
      if (items[n].is(text)) return true;
    }
    return false;
  }

  /** Are both texts, and the same? */
  equals(other: Value): bool {
    return this.kind == Kind.Text && other.kind == Kind.Text
      && compareBytes(this.at, this.length, other.at, other.length) == 0;
  }

  /** Is it the number that is written like this? */
  isNumber(number: string): bool {
    return this.kind == Kind.Number && areText(this.at, this.length, number);
  }

  /** The amount that the text writes; null where it writes none. */
  amount(): Amount | null {
    return this.kind == Kind.Text ? Amount.read(this.at, this.length) : null;
  }

  private inside(): usize {
    return changetype<usize>(this) + offsetof<Value>();
  }
}

function makeMissing(): Value {
  const value = changetype<Value>(heap.alloc(offsetof<Value>()));
  value.kind = Kind.None;
  value.at = 0;
  value.length = 0;
  value.next = 0;
  return value;
}

/** What is not there. */
export const MISSING: Value = makeMissing();

/** The value that this text is; MISSING where it is not canonical JSON. */
export function read(at: usize, length: usize): Value {
  // Every value takes two bytes at least: itself and what separates it from the next.
  const most = length / 2 + 1;
  const room = heap.alloc(most * offsetof<Value>());
  const reader = new Reader(at, at + length, room, room + most * offsetof<Value>());
  return reader.value(0) && reader.at == reader.end ? changetype<Value>(room) : MISSING;
}

class Reader {
  constructor(
    public at: usize,
    public end: usize,
    private next: usize,
    /** Behind the room for values. */
    private last: usize,
  ) {}

  value(level: i32): bool {
    if (level > MAX_LEVELS || this.at == this.end) return false;
    switch (load<u8>(this.at)) {
      case OPENING_BRACE: return this.object(level);
      case OPENING_BRACKET: return this.array(level);
      case QUOTE: return this.text() != null;
      case 0x74: return this.word("true", Kind.True);
      case 0x66: return this.word("false", Kind.False);
      case 0x6e: return this.word("null", Kind.Null);
      default: return this.number();
    }
  }

  private object(level: i32): bool {
    const value = this.begin(Kind.Object);
    if (value == null) return false;
    this.at++;
    let before: Value | null = null;
    let closed = this.skip(CLOSING_BRACE);
    while (!closed) {
      const name = this.text();
      if (name == null) return false;
      if (before != null && compareBytes(before.at, before.length, name.at, name.length) >= 0) return false;
      before = name;
      if (!this.skip(COLON) || !this.value(level + 1)) return false;
      closed = this.skip(CLOSING_BRACE);
      if (!closed && !this.skip(COMMA)) return false;
    }
    return this.finish(value, this.at);
  }

  private array(level: i32): bool {
    const value = this.begin(Kind.Array);
    if (value == null) return false;
    this.at++;
    let closed = this.skip(CLOSING_BRACKET);
    while (!closed) {
      if (!this.value(level + 1)) return false;
      closed = this.skip(CLOSING_BRACKET);
      if (!closed && !this.skip(COMMA)) return false;
    }
    return this.finish(value, this.at);
  }

  private text(): Value | null {
    if (!this.skip(QUOTE)) return null;
    const value = this.begin(Kind.Text);
    if (value == null) return null;
    while (true) {
      if (this.at + 8 <= this.end) {
        const plain = plainBytes(load<u64>(this.at));
        this.at += plain;
        if (plain == 8) continue;
      }
      if (this.at == this.end) return null;
      const letter = load<u8>(this.at);
      if (letter == QUOTE) break;
      if (letter < SPACE) return null;
      if (letter == BACKSLASH) {
        value.kind = Kind.EscapedText;
        if (!this.escape()) return null;
      } else {
        this.at++;
      }
    }
    this.finish(value, this.at);
    this.at++;
    return value;
  }

  private escape(): bool {
    this.at++;
    if (this.at == this.end) return false;
    const letter = load<u8>(this.at++);
    if (letter != 0x75) {
      return letter == QUOTE || letter == BACKSLASH || letter == 0x62 || letter == 0x66 || letter == 0x6e
        || letter == 0x72 || letter == 0x74;
    }
    if (this.end - this.at < 4) return false;
    for (let n = 0; n < 4; n++) {
      const digit = load<u8>(this.at++);
      const small = digit | 0x20;
      if (!(digit >= ZERO && digit <= ZERO + 9) && !(small >= 0x61 && small <= 0x66)) return false;
    }
    return true;
  }

  private number(): bool {
    const value = this.begin(Kind.Number);
    const negative = this.skip(MINUS);
    const first = this.at;
    while (this.at < this.end && load<u8>(this.at) >= ZERO && load<u8>(this.at) <= ZERO + 9) this.at++;
    const digits = this.at - first;
    if (value == null || digits == 0 || digits > MAX_DIGITS) return false;
    if (load<u8>(first) == ZERO && (digits > 1 || negative)) return false;
    return this.finish(value, this.at);
  }

  private word(word: string, kind: Kind): bool {
    const length = <usize>word.length;
    if (this.end - this.at < length || !areText(this.at, length, word)) return false;
    const value = this.begin(kind);
    this.at += length;
    return value != null && this.finish(value, this.at);
  }

  /** A value that begins here; null where there is no room. */
  private begin(kind: Kind): Value | null {
    if (this.next >= this.last) return null;
    const value = changetype<Value>(this.next);
    this.next += offsetof<Value>();
    value.kind = kind;
    value.at = this.at;
    return value;
  }

  private finish(value: Value, end: usize): bool {
    value.length = end - value.at;
    value.next = this.next;
    return true;
  }

  private skip(wanted: u8): bool {
    if (this.at == this.end || load<u8>(this.at) != wanted) return false;
    this.at++;
    return true;
  }
}

/** How many of eight bytes, the first is the lowest, come before the first quote, backslash or control character.
 *
 * A byte's highest bit in `found`: the byte was less than a space, or is zero after the XOR. A borrow makes it wrong of
 * bytes above such a one, never of the first.
 */
// @ts-ignore: a decorator of AssemblyScript
@inline
function plainBytes(eight: u64): usize {
  const quote = eight ^ (ONES * QUOTE);
  const backslash = eight ^ (ONES * BACKSLASH);
  const found = ((eight - ONES * SPACE) & ~eight) | ((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash);
  return <usize>(ctz(found & (ONES * 128)) >> 3);
}
