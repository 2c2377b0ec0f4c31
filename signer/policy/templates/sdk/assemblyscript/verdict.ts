/* Verdicts: what a policy answers, written as JSON while it is built.
 *
 * What does not fit, or would be no verdict, stops the module: the request is denied.
 */

import { Amount } from "./amount";
import { Kind, Value } from "./json";

/** The largest answer that the signer reads. */
const MAX_BYTES: usize = 16 * 1024;

/** The longest text of an evidence. A longer fact is left out: the audit log has the facts' hash. */
const MAX_EVIDENCE_BYTES: usize = 512;

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
const COMMA: u8 = 0x2c;
const SPACE: u8 = 0x20;
const CLOSING_BRACE: u8 = 0x7d;
const CLOSING_BRACKET: u8 = 0x5d;

/** Allow, deny, or ask people first. */
export class Verdict {
  private room: usize = heap.alloc(MAX_BYTES);
  private length: usize = 0;
  /** What closes the reservations or the evidence; 0 where there are none. */
  private open: u8 = 0;

  private constructor(verdict: string) {
    this.write('{"verdict":');
    this.quoted(verdict);
  }

  /** The policy has nothing against it. */
  static allow(): Verdict {
    return new Verdict("allow");
  }

  /** It is not signed. The code is stable: capital letters, digits and underscores. */
  static deny(code: string, message: string): Verdict {
    const verdict = new Verdict("deny");
    verdict.member("code");
    verdict.quoted(code);
    verdict.member("message");
    verdict.quoted(message);
    return verdict;
  }

  /** It is signed when so many members of these groups have approved within so many seconds. */
  static requireApproval(quorum: u32, groups: StaticArray<string>, lifetimeSeconds: u32): Verdict {
    const verdict = new Verdict("require_approval");
    verdict.member("quorum");
    verdict.number(quorum);
    verdict.member("groups");
    for (let n = 0; n < groups.length; n++) {
      verdict.write(n == 0 ? "[" : ",");
      verdict.quoted(groups[n]);
    }
    verdict.write("]");
    verdict.member("lifetime_seconds");
    verdict.number(lifetimeSeconds);
    return verdict;
  }

  /** Of an approval: nothing is signed for so many seconds after the quorum. Before any reservation. */
  delayedBy(seconds: u32): Verdict {
    this.member("delay_seconds");
    this.number(seconds);
    return this;
  }

  /** The signature spends this of the counter, of which no more than the limit is spent in the window (0: ever). */
  reserve(counter: string, windowSeconds: u32, amount: Amount, limit: Amount): Verdict {
    this.part("reserve", "[", CLOSING_BRACKET);
    this.write('{"counter":');
    this.quoted(counter);
    this.member("window_seconds");
    this.number(windowSeconds);
    this.member("amount");
    this.amount(amount);
    this.member("limit");
    this.amount(limit);
    this.byte(CLOSING_BRACE);
    return this;
  }

  /** Of a denial: what it rests on. A text or a number as the facts write it; null for what is neither, or too long. */
  evidence(name: string, value: Value): Verdict {
    this.named(name);
    if ((value.kind == Kind.Text || value.kind == Kind.EscapedText) && value.length <= MAX_EVIDENCE_BYTES) {
      this.byte(QUOTE);
      this.copy(value.at, value.length);
      this.byte(QUOTE);
    } else if (value.kind == Kind.Number) {
      this.copy(value.at, value.length);
    } else {
      this.write("null");
    }
    return this;
  }

  /** Of a denial: what it rests on, in words of the policy's own. */
  evidenceText(name: string, text: string): Verdict {
    this.named(name);
    this.quoted(text);
    return this;
  }

  /** Of a denial: an amount that it rests on. */
  evidenceAmount(name: string, amount: Amount): Verdict {
    this.named(name);
    this.amount(amount);
    return this;
  }

  /** The address in the upper half, the length in the lower. */
  place(): u64 {
    if (this.open != 0) this.byte(this.open);
    this.byte(CLOSING_BRACE);
    return ((<u64>this.room) << 32) | (<u64>this.length);
  }

  private named(name: string): void {
    this.part("evidence", "{", CLOSING_BRACE);
    this.quoted(name);
    this.write(":");
  }

  private part(name: string, opening: string, closing: u8): void {
    if (this.open != 0) {
      this.byte(COMMA);
      return;
    }
    this.member(name);
    this.write(opening);
    this.open = closing;
  }

  private member(name: string): void {
    this.byte(COMMA);
    this.quoted(name);
    this.write(":");
  }

  private number(number: u32): void {
    if (number >= 10) this.number(number / 10);
    this.byte(<u8>(0x30 + (number % 10)));
  }

  private amount(amount: Amount): void {
    this.byte(QUOTE);
    this.copy(amount.at, amount.length);
    this.byte(QUOTE);
  }

  private quoted(text: string): void {
    this.byte(QUOTE);
    for (let n = 0; n < text.length; n++) {
      const letter = text.charCodeAt(n);
      const byte = letter < <i32>SPACE || letter > 126 ? SPACE : <u8>letter;
      if (byte == QUOTE || byte == BACKSLASH) this.byte(BACKSLASH);
      this.byte(byte);
    }
    this.byte(QUOTE);
  }

  /** ASCII, as it stands. */
  private write(text: string): void {
    for (let n = 0; n < text.length; n++) this.byte(<u8>text.charCodeAt(n));
  }

  private copy(at: usize, length: usize): void {
    for (let n: usize = 0; n < length; n++) this.byte(load<u8>(at + n));
  }

  private byte(byte: u8): void {
    if (this.length >= MAX_BYTES) unreachable();
    store<u8>(this.room + this.length, byte);
    this.length++;
  }
}
