/* What a policy may ask of the signer beside its facts. Each function must be granted by the manifest, and each counter
 * and list by its name; asking for another stops the module, and the request is denied. Names are ASCII.
 */

import { Amount } from "./amount";
import { bytesOf } from "./bytes";
import { Kind, Value } from "./json";

/** Room that a counter's digits may need. */
const COUNTER_BYTES: usize = 78;

// @ts-ignore: a decorator of AssemblyScript, as all of these
@external("holdfast", "read_counter")
declare function importedReadCounter(name: usize, nameLength: usize, windowSeconds: u32, answer: usize): usize;
// @ts-ignore
@external("holdfast", "list_contains")
declare function importedListContains(name: usize, nameLength: usize, item: usize, itemLength: usize): i32;
// @ts-ignore
@external("holdfast", "sha256")
declare function importedSha256(data: usize, length: usize, answer: usize): void;
// @ts-ignore
@external("holdfast", "keccak256")
declare function importedKeccak256(data: usize, length: usize, answer: usize): void;
// @ts-ignore
@external("holdfast", "log")
declare function importedLog(text: usize, length: usize): void;

/** What has been spent of the counter within the window; of all time where that is 0. */
export function readCounter(name: string, windowSeconds: u32): Amount {
  const room = heap.alloc(COUNTER_BYTES);
  const amount = Amount.read(room, importedReadCounter(bytesOf(name), <usize>name.length, windowSeconds, room));
  if (amount == null) return unreachable();
  return amount;
}

/** Does the list hold exactly this text? False for what is no text. */
export function listContains(name: string, item: Value): bool {
  return item.kind == Kind.Text
    && importedListContains(bytesOf(name), <usize>name.length, item.at, item.length) == 1;
}

/** SHA-256 of what lies there: the place of 32 bytes. */
export function sha256(at: usize, length: usize): usize {
  const digest = heap.alloc(32);
  importedSha256(at, length, digest);
  return digest;
}

/** Ethereum's Keccak-256 of what lies there: the place of 32 bytes. */
export function keccak256(at: usize, length: usize): usize {
  const digest = heap.alloc(32);
  importedKeccak256(at, length, digest);
  return digest;
}

/** A line for whoever tries the policy out. */
export function log(text: string): void {
  importedLog(bytesOf(text), <usize>text.length);
}
