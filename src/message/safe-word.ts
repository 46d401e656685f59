/** Targets and authorities on their way out: a rewritten one may hold bytes that were decoded. */

/** What may stand in one: visible ASCII without `#`. */
const UNSAFE = /[^\x21\x22\x24-\x7e]/g;
/** A shorter text is looked at faster by a loop than by a regular expression, which costs 40 ns to begin with. */
const SHORT = 48;

/** Percent-encodes what would end the word, or stand in it against the grammar. */
export function safeWord(word: string): string {
  if (word.length < SHORT) {
    let at = 0;
    while (at < word.length) {
      const code = word.charCodeAt(at);
      if (code <= 0x20 || code >= 0x7f || code === 0x23) break;
      at++;
    }
    if (at === word.length) return word;
  }
  return word.search(UNSAFE) < 0 ? word : word.replace(UNSAFE, percentEncoded);
}

function percentEncoded(char: string): string {
  const bytes = Buffer.from(char, char.charCodeAt(0) <= 0xff ? 'latin1' : 'utf8');
  let text = '';
  for (const byte of bytes) text += `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
  return text;
}
