/** Tables of configurations and of what is told about them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFault } from '../../src/config/load/index.ts';
import { faultsOf } from './kit.ts';

/** A snippet with a ¦ in front of each place where a fault stands, and the faults, in parts that have to appear. */
export interface FaultCase {
  readonly name: string;
  readonly yaml: string;
  readonly faults: readonly (readonly [path: string, expected: string, cure: string])[];
}

/** A snippet that is accepted with one warning: its path ends so, and what was expected holds that. */
export type WarningCase = readonly [name: string, yaml: string, path: string, expected: string];

export function tellsFaults(cases: readonly FaultCase[]): void {
  for (const { name, yaml, faults } of cases) {
    test(`tells ${name}`, () => {
      const found = faultsOf(yaml.replaceAll('¦', ''));
      const shown = found.map(formatFault).join('\n');
      assert.deepEqual(
        found.map((fault) => `${fault.line}:${fault.column}`),
        placesIn(yaml),
        shown,
      );
      assert.equal(found.length, faults.length, shown);
      faults.forEach(([faultPath, expected, cure], i) => {
        const fault = found[i];
        assert.equal(fault?.severity, 'error', shown);
        assert.ok(fault?.path.endsWith(faultPath), `${fault?.path} should end with ${faultPath}\n${shown}`);
        assert.ok(fault?.expected.includes(expected), `"${fault?.expected}" should hold "${expected}"`);
        assert.ok((fault?.cure ?? '').includes(cure), `"${fault?.cure}" should hold "${cure}"`);
      });
    });
  }
}

export function tellsWarnings(cases: readonly WarningCase[]): void {
  for (const [name, yaml, at, expected] of cases) {
    test(`warns of ${name} and accepts it`, () => {
      const found = faultsOf(yaml);
      assert.equal(found.length, 1, found.map(formatFault).join('\n'));
      assert.equal(found[0]?.severity, 'warning');
      assert.ok(found[0]?.path.endsWith(at), found[0]?.path);
      assert.ok(found[0]?.expected.includes(expected), found[0]?.expected);
    });
  }
}

/** `line:column` of each mark in the text without marks. */
function placesIn(marked: string): string[] {
  return marked.split('\n').flatMap((line, row) =>
    line
      .split('¦')
      .slice(0, -1)
      .map((_, i, parts) => `${row + 1}:${parts.slice(0, i + 1).join('').length + 1}`),
  );
}
