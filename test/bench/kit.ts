/** A spec with everything in it: plain, TLS and mutual listeners, 100 services. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeCertificates } from '../../bench/setup/certificates.ts';
import { type ProxySpec, RETRY, serviceList } from '../../bench/setup/spec.ts';

export function withSpec<T>(use: (spec: ProxySpec) => T, changes: Partial<ProxySpec> = {}): T {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-bench-test-'));
  try {
    return use({
      directory,
      core: 0,
      adminPort: 15_000,
      listeners: [
        { name: 'plain', port: 8_080, tls: false, mutual: false },
        { name: 'tls', port: 8_443, tls: true, mutual: false },
        { name: 'mutual', port: 8_444, tls: true, mutual: true },
      ],
      services: serviceList(100, [9_000, 9_001, 9_002]),
      tls: writeCertificates(directory),
      upstreamTls: false,
      retry: RETRY,
      hedging: null,
      mirrorToNobody: false,
      changing: false,
      protection: null,
      callerConnections: null,
      collectorPort: 4_318,
      ...changes,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
