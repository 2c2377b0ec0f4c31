/* Amounts: whole numbers below 2 to the 256th, kept as the decimal digits in which facts and verdicts write them. */

import { bytesOf, compareBytes } from "./bytes";

/** The digits of the largest amount, which is 2 to the 256th, less one. */
const MAX_DIGITS: usize = 78;
const LARGEST = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

const ZERO: u8 = 0x30;

/** A whole number of an asset's smallest unit, a slot, an epoch, a height. */
@unmanaged
export class Amount {
  /** Where its digits are. */
  at: usize;
  length: usize;

  /** A constant. Stops the module where the text is no amount. */
  static of(text: string): Amount {
    const amount = Amount.read(bytesOf(text), <usize>text.length);
    if (amount == null) return unreachable();
    return amount;
  }

  /** The amount with these digits; null where they are none, begin with a needless zero, or are too many. */
  static read(at: usize, length: usize): Amount | null {
    if (length == 0 || length > MAX_DIGITS || (load<u8>(at) == ZERO && length > 1)) return null;
    for (let n: usize = 0; n < length; n++) {
      if (load<u8>(at + n) < ZERO || load<u8>(at + n) > ZERO + 9) return null;
    }
    if (length == MAX_DIGITS && compareBytes(at, length, bytesOf(LARGEST), MAX_DIGITS) > 0) return null;
    const amount = changetype<Amount>(heap.alloc(offsetof<Amount>()));
    amount.at = at;
    amount.length = length;
    return amount;
  }

  /** Less than, equal to or more than nothing. Neither has a leading zero: the longer is the larger. */
  compare(other: Amount): i32 {
    if (this.length != other.length) return this.length < other.length ? -1 : 1;
    return memory.compare(this.at, other.at, this.length);
  }

  isMoreThan(other: Amount): bool {
    return this.compare(other) > 0;
  }

  isZero(): bool {
    return load<u8>(this.at) == ZERO;
  }

  /** Both together; null where that is 2 to the 256th or more. */
  plus(other: Amount): Amount | null {
    const length = max(this.length, other.length) + 1;
    const room = heap.alloc(length);
    let carry: u8 = 0;
    for (let n: usize = 0; n < length; n++) {
      const digit = this.digit(n) + other.digit(n) + carry;
      carry = digit / 10;
      store<u8>(room + (length - 1 - n), ZERO + digit % 10);
    }
    return trimmed(room, length);
  }

  /** What is left; null where the other is more. */
  minus(other: Amount): Amount | null {
    if (other.isMoreThan(this)) return null;
    const length = this.length;
    const room = heap.alloc(length);
    let borrow: u8 = 0;
    for (let n: usize = 0; n < length; n++) {
      const digit = this.digit(n);
      const wanted = other.digit(n) + borrow;
      borrow = u8(digit < wanted);
      store<u8>(room + (length - 1 - n), ZERO + digit + 10 * borrow - wanted);
    }
    return trimmed(room, length);
  }

  /** The digit in this place, counted from the last. */
  private digit(place: usize): u8 {
    return place < this.length ? load<u8>(this.at + (this.length - 1 - place)) - ZERO : 0;
  }
}

function trimmed(at: usize, length: usize): Amount | null {
  while (length > 1 && load<u8>(at) == ZERO) {
    at++;
    length--;
  }
  return Amount.read(at, length);
}
