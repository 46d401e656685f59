/**
 * docs/PATHS.md holds a table of what each mode makes of the awkward paths. This test makes the table from
 * the code and compares; `node test/router/paths-doc.test.ts --write` puts it into the file.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { PathNormalization } from '../../src/config/index.ts';
import { normalizePath } from '../../src/dataplane/router/index.ts';

const DOCUMENT = new URL('../../docs/PATHS.md', import.meta.url);
const BEGIN = '<!-- table: begin -->\n';
const END = '<!-- table: end -->';

const MODES: readonly PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'];

const ROWS: readonly (readonly [string, string])[] = [
  ['`..`', '/a/../b'],
  ['`..` above the root', '/../../b'],
  ['`..` at the end', '/a/b/..'],
  ['`.`', '/a/./b'],
  ['three dots', '/a/.../b'],
  ['`%2e%2e`', '/a/%2e%2e/b'],
  ['`%2e` inside a name', '/a%2eb'],
  ['`//`', '/a//b'],
  ['`//` in front', '//a'],
  ['`//` before `..`', '/a//../b'],
  ['`%2F`', '/a%2Fb'],
  ['`%2F` around `..`', '/a%2F..%2Fb'],
  ['`\\`', '/a\\b'],
  ['`\\` around `..`', '/a\\..\\b'],
  ['`%5C`', '/a%5Cb'],
  ['`;`', '/a;v=1/b'],
  ['`..;`', '/a/..;/b'],
  ['`%3B`', '/a%3Bb'],
  ['`%00`', '/a%00b'],
  ['other encoded control bytes', '/a%0Ab'],
  ['`%25`', '/a%25b'],
  ['encoded twice', '/a%252e%252e%252fb'],
  ['encoded letters', '/%61dmin'],
  ['`%7e`', '/%7euser'],
  ['`%20`', '/a%20b'],
  ['`%3F`, `%23`', '/a%3Fb%23c'],
  ['UTF-8, encoded', '/caf%C3%A9'],
  ['the same in small letters', '/caf%c3%a9'],
  ['non-ASCII bytes', '/café'],
  ['`%` without two digits', '/100%'],
  ['`%` that decoding would complete', '/%2%65%2%65/a'],
  ['bytes that RFC 3986 leaves out', '/a"<>^`{|}b'],
  ['the query', '/a/../b?c=/../d//e%2Ff'],
  ['`OPTIONS *`', '*'],
];

function renderTable(): string {
  let text = `| What | Received | ${MODES.map((mode) => `\`${mode}\``).join(' | ')} |\n|---|---|${'---|'.repeat(MODES.length)}\n`;
  for (const [what, target] of ROWS) {
    const cells = MODES.map((mode) => {
      // Bytes above 0x7f never get this far: the codec refuses them in every mode.
      if (/[^\x21-\x7e]/.test(target)) return 'refused (`bad-target`)';
      const prepared = normalizePath(target, mode);
      return prepared.failure ? 'refused (`bad-path`)' : code(prepared.target);
    });
    text += `| ${what.replaceAll('|', '\\|')} | ${code(target)} | ${cells.join(' | ')} |\n`;
  }
  return text;
}

function code(text: string): string {
  const escaped = text.replaceAll('|', '\\|');
  return text.includes('`') ? `\`\` ${escaped} \`\`` : `\`${escaped}\``;
}

function withTable(document: string): string {
  const begin = document.indexOf(BEGIN) + BEGIN.length;
  return document.slice(0, begin) + renderTable() + document.slice(document.indexOf(END));
}

if (process.argv.includes('--write')) {
  writeFileSync(DOCUMENT, withTable(readFileSync(DOCUMENT, 'utf8')));
} else {
  test('docs/PATHS.md says what the code does', () => {
    const document = readFileSync(DOCUMENT, 'utf8');
    assert.ok(document.includes(BEGIN) && document.includes(END), 'the markers are missing');
    assert.equal(document, withTable(document), 'run: node test/router/paths-doc.test.ts --write');
  });
}
