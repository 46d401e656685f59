import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runValidate } from '../../src/cli/validate.ts';

async function validate(text: string | null): Promise<{ code: number; out: string; err: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-validate-'));
  const file = join(directory, 'c.yaml');
  try {
    if (text !== null) writeFileSync(file, text);
    let out = '';
    let err = '';
    const code = await runValidate(file, {
      out: (line) => {
        out += `${line}\n`;
      },
      err: (line) => {
        err += `${line}\n`;
      },
    });
    return { code, out: out.replaceAll(directory, ''), err: err.replaceAll(directory, '') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const VALID = `listeners: [{ name: web, address: ":80" }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]
services: [{ name: s, endpoints: [{ address: 1.2.3.4:80 }] }]
`;

test('a valid file: 0, and its size', async () => {
  assert.deepEqual(await validate(VALID), {
    code: 0,
    out: '/c.yaml: valid (1 listener, 1 route, 1 service)\n',
    err: '',
  });
});

test('warnings are told and do not fail', async () => {
  const { code, out, err } = await validate(`${VALID}admin: { address: ":15000" }\n`);
  assert.equal(code, 0);
  assert.match(out, /, 1 warning\)/);
  assert.match(err, /^\/c\.yaml:4:19: warning: admin\.address: expected a loopback address/);
});

test('a file with faults: 1, every fault, and their number', async () => {
  const { code, out, err } = await validate(
    `${VALID.replace(':80', ':http').replace('name: s }]', 'name: t }]')}workers: 0\n`,
  );
  assert.equal(code, 1);
  assert.equal(out, '');
  assert.equal(err.match(/^\/c\.yaml:\d+:\d+: error: /gm)?.length, 3, err);
  assert.match(err, /\/c\.yaml: 3 errors\n$/);
});

test('a file that can not be read: 2', async () => {
  const { code, err } = await validate(null);
  assert.equal(code, 2);
  assert.match(err, /ENOENT/);
});
