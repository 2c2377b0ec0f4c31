/* Bytes in memory, and how they compare with texts of the program, which are UTF-16. */

/** Less than, equal to or more than nothing, as the first bytes sort. */
export function compareBytes(one: usize, oneLength: usize, other: usize, otherLength: usize): i32 {
  const difference = memory.compare(one, other, min(oneLength, otherLength));
  if (difference != 0) return difference;
  return oneLength == otherLength ? 0 : oneLength < otherLength ? -1 : 1;
}

/** Are these bytes this text? The text is ASCII. */
export function areText(at: usize, length: usize, text: string): bool {
  if (length != <usize>text.length) return false;
  const letters = changetype<usize>(text);
  for (let n: usize = 0; n < length; n++) {
    if (<u16>load<u8>(at + n) != load<u16>(letters + (n << 1))) return false;
  }
  return true;
}

/** The text in bytes; as many as it has letters, since it is ASCII. */
export function bytesOf(text: string): usize {
  const length = <usize>text.length;
  const letters = changetype<usize>(text);
  const place = heap.alloc(length);
  for (let n: usize = 0; n < length; n++) {
    const letter = load<u16>(letters + (n << 1));
    if (letter > 127) unreachable();
    store<u8>(place + n, <u8>letter);
  }
  return place;
}
