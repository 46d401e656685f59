/**
 * What an octet must not be part of (RFC 9113 section 8.2.1), one bit per rule, so that the facts of a whole string
 * are the OR of those of its octets: the Huffman table carries them along, and a table entry keeps them.
 * Names are stricter than the section asks, token characters without capitals: anything else would not survive
 * HTTP/1.1. Values are those of RFC 9110 section 5.5.
 */

export const NOT_IN_NAME = 1;
export const NOT_IN_VALUE = 2;
/** Of a value: white space at its start or end. */
export const EDGE_SPACE = 4;

export const OCTETS: Uint8Array = new Uint8Array(256).fill(NOT_IN_NAME);
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") OCTETS[char.charCodeAt(0)] = 0;
for (let octet = 0; octet < 0x20; octet++) if (octet !== 0x09) OCTETS[octet] |= NOT_IN_VALUE;
OCTETS[0x7f] |= NOT_IN_VALUE;
