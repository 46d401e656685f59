import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FAILURE_KINDS } from '../../src/base/index.ts';
import { ERRORS_FILE, errorsText } from '../../src/cli/generate-errors.ts';

const document = readFileSync(ERRORS_FILE, 'utf8');

test('docs/ERRORS.md is what the code makes', () => {
  assert.ok(document === errorsText(), 'run: npm run schema');
});

test('it tells every code once, with what to do', () => {
  for (const [kind, { cure, flag }] of Object.entries(FAILURE_KINDS)) {
    const rows = document.split('\n').filter((line) => line.startsWith(`| \`${kind}\` | ${flag} | `));
    assert.equal(rows.length, 1, kind);
    assert.ok(rows[0]?.includes(cure.replaceAll('|', '\\|')), kind);
  }
});

test('what is tried again by default is what the defaults promise', () => {
  const retried = (kind: string): string | undefined =>
    document
      .split('\n')
      .find((line) => line.startsWith(`| \`${kind}\` | `))
      ?.split(' | ')[4];
  assert.equal(retried('connect-refused'), 'yes');
  assert.equal(retried('refused-stream'), 'yes');
  assert.equal(retried('reset-before-response'), 'idempotent methods; others if nothing was sent');
  assert.equal(retried('request-timeout'), 'no');
  assert.equal(retried('closed-mid-response'), 'no');
});
