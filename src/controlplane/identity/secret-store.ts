/**
 * The one holder of keys. It reads the files that the configuration names, checks them, and publishes a
 * `SecretSet` to whoever hands it to the workers. What can't be used never replaces what can: a secret
 * whose files are at fault keeps its last good version, beside the fault that says so.
 */
import { readFile, stat } from 'node:fs/promises';
import { type Clock, LIMITS } from '../../base/index.ts';
import {
  type CertificateSecret,
  NO_SECRETS,
  type SecretSet,
  secretSet,
  type TrustBundle,
} from '../../config/index.ts';
import { error, type Parsed, parseBundle, parseCertificate, type SecretFault } from './pem.ts';

export interface CertificateRef {
  readonly name: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** DER OCSP response to staple. */
  readonly ocspFile: string | null;
}

export interface BundleRef {
  readonly name: string;
  readonly caFile: string;
}

/** Secrets made in memory, as the demo's are. */
export interface InlineCertificate {
  readonly name: string;
  readonly certPem: string;
  readonly keyPem: string;
}

export interface SecretRefs {
  readonly certificates: readonly (CertificateRef | InlineCertificate)[];
  readonly bundles: readonly (BundleRef | { readonly name: string; readonly caPem: string })[];
}

export interface LoadedSecrets {
  readonly certificates: CertificateSecret[];
  readonly bundles: TrustBundle[];
  readonly faults: SecretFault[];
  /** When an OCSP response among them goes out of date, milliseconds since the epoch, or null. */
  readonly recheckAtMs: number | null;
}

/** Reads and checks every secret; those at fault (severity `error`) are absent from the result. */
export async function loadSecrets(refs: SecretRefs, nowMs: number): Promise<LoadedSecrets> {
  const certificates = await Promise.all(refs.certificates.map((ref) => loadCertificate(ref, nowMs)));
  const bundles = await Promise.all(refs.bundles.map((ref) => loadBundle(ref, nowMs)));
  const times = certificates.map((c) => c.recheckAtMs).filter((ms) => ms !== null);
  return {
    certificates: certificates.map((c) => c.secret).filter((secret) => secret !== null),
    bundles: bundles.map((b) => b.secret).filter((secret) => secret !== null),
    faults: [...certificates, ...bundles].flatMap((parsed) => parsed.faults),
    recheckAtMs: times.length > 0 ? Math.min(...times) : null,
  };
}

/** The files that these references name. */
export function filesOf(refs: SecretRefs): string[] {
  const files = new Set<string>();
  for (const ref of refs.certificates) {
    if (!('certFile' in ref)) continue;
    files.add(ref.certFile).add(ref.keyFile);
    if (ref.ocspFile !== null) files.add(ref.ocspFile);
  }
  for (const ref of refs.bundles) if ('caFile' in ref) files.add(ref.caFile);
  return [...files];
}

export class SecretStore {
  private readonly clock: Clock;
  private readonly publish: (set: SecretSet) => void;
  private set: SecretSet = NO_SECRETS;
  private lastFaults: readonly SecretFault[] = [];
  private recheckMs: number | null = null;
  private loads = 0;

  /** `publish` is called with every set that differs from the one before. */
  constructor(clock: Clock, publish: (set: SecretSet) => void) {
    this.clock = clock;
    this.publish = publish;
  }

  get current(): SecretSet {
    return this.set;
  }

  get faults(): readonly SecretFault[] {
    return this.lastFaults;
  }

  /** When the same files are worth another look though nothing changed them, or null. */
  get recheckAtMs(): number | null {
    return this.recheckMs;
  }

  /** Loads what `refs` names and publishes the difference. Of loads that overlap, the last one counts. */
  async load(refs: SecretRefs): Promise<readonly SecretFault[]> {
    const turn = ++this.loads;
    const loaded = await loadSecrets(refs, this.clock.wallMs());
    if (turn !== this.loads) return loaded.faults;
    this.lastFaults = loaded.faults;
    this.recheckMs = loaded.recheckAtMs;
    const certificates = lastGood(refs.certificates, loaded.certificates, this.set.certificates);
    const bundles = lastGood(refs.bundles, loaded.bundles, this.set.bundles);
    if (
      !same(certificates, this.set.certificates, certificateId) ||
      !same(bundles, this.set.bundles, (bundle) => bundle.name + bundle.hash)
    )
      this.replace({ ...this.set, certificates, bundles, ticketKeys: this.set.ticketKeys });
    return loaded.faults;
  }

  setTicketKeys(ticketKeys: readonly Uint8Array[]): void {
    this.replace({ ...this.set, ticketKeys });
  }

  private replace(parts: SecretSet): void {
    this.set = secretSet({ ...parts, version: this.set.version + 1, ticketKeys: parts.ticketKeys });
    this.publish(this.set);
  }
}

async function loadCertificate(
  ref: CertificateRef | InlineCertificate,
  nowMs: number,
): Promise<Parsed<CertificateSecret>> {
  if (!('certFile' in ref)) {
    const cert = { path: ref.name, text: ref.certPem };
    const key = { path: ref.name, text: ref.keyPem };
    return parseCertificate({ name: ref.name, cert, key, ocsp: null }, nowMs);
  }
  const [cert, key, ocsp] = await Promise.all([
    read(ref.certFile),
    read(ref.keyFile),
    ref.ocspFile === null ? null : read(ref.ocspFile),
  ]);
  const faults = [cert.fault, key.fault].filter((fault) => fault !== null);
  if (faults.length > 0) return { secret: null, faults, recheckAtMs: null };
  const parsed = parseCertificate(
    {
      name: ref.name,
      cert: { path: ref.certFile, text: cert.bytes.toString('latin1') },
      key: { path: ref.keyFile, text: key.bytes.toString('latin1') },
      ocsp: ref.ocspFile !== null && ocsp?.fault === null ? { path: ref.ocspFile, bytes: ocsp.bytes } : null,
    },
    nowMs,
  );
  // A staple is an extra: without it the certificate still serves.
  if (ocsp?.fault) parsed.faults.push({ ...ocsp.fault, severity: 'warning' });
  return parsed;
}

async function loadBundle(ref: SecretRefs['bundles'][number], nowMs: number): Promise<Parsed<TrustBundle>> {
  if (!('caFile' in ref)) return parseBundle(ref.name, ref.name, ref.caPem, nowMs);
  const file = await read(ref.caFile);
  if (file.fault) return { secret: null, faults: [file.fault], recheckAtMs: null };
  return parseBundle(ref.name, ref.caFile, file.bytes.toString('latin1'), nowMs);
}

async function read(path: string): Promise<{ bytes: Buffer; fault: SecretFault | null }> {
  const none = Buffer.alloc(0);
  try {
    const { size } = await stat(path);
    if (size > LIMITS.secretFileBytes)
      return {
        bytes: none,
        fault: error(path, `it has ${size} bytes`, `at most ${LIMITS.secretFileBytes} are read`),
      };
    return { bytes: await readFile(path), fault: null };
  } catch (problem) {
    return { bytes: none, fault: unreadable(path, (problem as NodeJS.ErrnoException).code ?? 'unknown') };
  }
}

function unreadable(path: string, code: string): SecretFault {
  if (code === 'ENOENT')
    return error(path, 'no such file', 'relative paths start at the configuration file; check the spelling');
  if (code === 'EACCES')
    return error(path, 'permission denied', 'let the user that runs the proxy read it, and nobody else');
  if (code === 'EISDIR') return error(path, 'it is a directory', 'name the file in it');
  return error(path, `it can't be read (${code})`, 'see the system error');
}

/** What was loaded, or the previous version of it, in the order of the references. */
function lastGood<T extends { readonly name: string }>(
  refs: readonly { readonly name: string }[],
  loaded: readonly T[],
  previous: readonly T[],
): T[] {
  const out: T[] = [];
  for (const { name } of refs) {
    const secret = loaded.find((s) => s.name === name) ?? previous.find((s) => s.name === name);
    if (secret) out.push(secret);
  }
  return out;
}

function certificateId(secret: CertificateSecret): string {
  const ocsp = secret.ocsp ? Buffer.from(secret.ocsp).toString('base64') : '';
  return `${secret.name}\n${secret.certPem}${ocsp}`;
}

function same<T>(a: readonly T[], b: readonly T[], id: (item: T) => string): boolean {
  return a.length === b.length && a.every((item, i) => id(item) === id(b[i] as T));
}
