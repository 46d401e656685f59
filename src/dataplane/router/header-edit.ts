/**
 * Gateway API's RequestHeaderModifier and ResponseHeaderModifier as a flat list of steps. Names are kept in
 * the case the configuration gives them; values are written as the octets of their UTF-8 form, which is how
 * a header list holds what came from the wire.
 */
import type { FilterConfig } from '../../config/index.ts';
import { type FieldName, type HeaderList, nameIdOf } from '../../message/index.ts';

export type HeaderEdit = readonly HeaderStep[];

interface HeaderStep {
  readonly action: 'remove' | 'set' | 'add';
  readonly field: FieldName;
  readonly name: string;
  readonly value: string;
}

/** Changes `headers`: `set` replaces every field of the name, `add` adds one more field line. */
export function applyHeaderEdit(edit: HeaderEdit, headers: HeaderList): void {
  for (let i = 0; i < edit.length; i++) {
    const step = edit[i] as HeaderStep;
    if (step.action !== 'add') headers.delete(step.field);
    if (step.action !== 'remove') headers.append(step.name, step.value);
  }
}

/** The steps of every modifier of this type, in the order of the filters; null when there is nothing to do. */
export function compileHeaderEdit(
  filters: readonly FilterConfig[],
  type: 'RequestHeaderModifier' | 'ResponseHeaderModifier',
): HeaderEdit | null {
  const steps: HeaderStep[] = [];
  for (const filter of filters) {
    if (filter.type !== type) continue;
    for (const name of filter.remove) steps.push(step('remove', name, ''));
    for (const { name, value } of filter.set) steps.push(step('set', name, value));
    for (const { name, value } of filter.add) steps.push(step('add', name, value));
  }
  return steps.length > 0 ? steps : null;
}

/** Configured text as a header value: one character per octet of its UTF-8 form. */
export function octets(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** A field name as `HeaderList` looks it up fastest. */
export function fieldOf(name: string): FieldName {
  const lower = name.toLowerCase();
  return nameIdOf(lower) || lower;
}

function step(action: HeaderStep['action'], name: string, value: string): HeaderStep {
  return { action, field: fieldOf(name), name, value: octets(value) };
}
