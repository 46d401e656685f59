/**
 * Elements of a comma-separated field value (RFC 9110 section 5.6.1) without the empty ones. Only SP and HTAB are
 * white space: `String.trim` also takes NBSP (0xA0 is obs-text), by which another name would pass for a known one.
 * For fields whose elements are tokens; quoted strings are not looked at.
 */
export function listElements(value: string): string[] {
  const elements: string[] = [];
  let at = 0;
  while (at <= value.length) {
    const comma = value.indexOf(',', at);
    const next = comma < 0 ? value.length : comma;
    let start = at;
    let end = next;
    while (start < end && isSpace(value.charCodeAt(start))) start++;
    while (end > start && isSpace(value.charCodeAt(end - 1))) end--;
    if (end > start) elements.push(value.slice(start, end));
    at = next + 1;
  }
  return elements;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
