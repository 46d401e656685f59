/**
 * Envoy's response flags of one request, as access log, metrics, spans and decision records show them: the failure's own flag,
 * after DI where the request was held up on purpose, then URX where the attempts were used up, or UO where a retry was
 * wanted and the budget or `maxRetries` did not allow it.
 */
import type { RequestRecord } from './record.ts';

/** `UF`, `UF,URX`, … ; `-` when there is none. */
export function flagsOf(record: RequestRecord): string {
  const flags = ownFlags(record);
  if (record.injectedDelayMs === 0) return flags;
  return flags === '-' ? 'DI' : `DI,${flags}`;
}

function ownFlags(record: RequestRecord): string {
  const flag = record.failure === null ? '' : record.failure.flag;
  const refused = record.retryRefused;
  if (refused === '') return flag === '' ? '-' : flag;
  if (refused === 'attempts') return flag === '' ? 'URX' : `${flag},URX`;
  if (refused !== 'budget' && refused !== 'max-retries') return flag === '' ? '-' : flag;
  return flag === '' || flag === 'UO' ? 'UO' : `${flag},UO`;
}
