/**
 * The secrets that the configuration names: loaded before a snapshot that needs them is published, watched while
 * it is in force. While one snapshot follows another, the files of both are held, so that no worker
 * is ever without a certificate that its configuration names.
 */
import type { Clock } from '../base/index.ts';
import type { EncodedSecrets } from '../channel/index.ts';
import { encodeSecrets, type SecretFiles, type SecretSet } from '../config/index.ts';
import {
  type SecretFault,
  SecretRotation,
  SecretStore,
  TicketKeyRing,
} from '../controlplane/identity/index.ts';
import type { Logger } from './logger.ts';

export interface SecretKeeperOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The secrets changed: to be sent to every worker. */
  onChange(encoded: EncodedSecrets): void;
}

const NO_FILES: SecretFiles = { certificates: [], bundles: [] };

export class SecretKeeper {
  private readonly options: SecretKeeperOptions;
  private readonly store: SecretStore;
  private readonly rotation: SecretRotation;
  private readonly ticketKeys: TicketKeyRing;
  private files: SecretFiles = NO_FILES;
  private logged = '';
  /** What `certificates` and `bundles` were when they were last logged. */
  private known = '[[],[]]';

  constructor(options: SecretKeeperOptions) {
    this.options = options;
    const { clock } = options;
    this.store = new SecretStore(clock, (set) => this.onSet(set));
    this.ticketKeys = new TicketKeyRing({ publish: (keys) => this.store.setTicketKeys(keys) });
    this.rotation = new SecretRotation({
      store: this.store,
      refs: NO_FILES,
      clock,
      onLoaded: (faults) => this.logFaults(faults),
    });
  }

  get current(): SecretSet {
    return this.store.current;
  }

  /** Secrets that could not be read; the last good ones of those serve on. */
  get faults(): readonly SecretFault[] {
    return this.store.faults;
  }

  encoded(): EncodedSecrets {
    return encodeSecrets(this.store.current);
  }

  async start(): Promise<void> {
    this.ticketKeys.start();
    await this.rotation.start();
  }

  stop(): void {
    this.ticketKeys.stop();
    this.rotation.stop();
  }

  /**
   * Loads what `files` names beside what is held already. Returns one line per fault that leaves a name
   * without any secret; a name whose last good one serves on is no reason to refuse a configuration.
   */
  async widen(files: SecretFiles): Promise<string[]> {
    const faults = await this.rotation.watchFiles(union(this.files, files));
    const { certificates, bundles } = this.store.current;
    const held = new Set([...certificates, ...bundles].map(({ name }) => name));
    const missing = [...files.certificates, ...files.bundles].filter(({ name }) => !held.has(name));
    if (missing.length === 0) return [];
    const errors = faults.filter(({ severity }) => severity === 'error').map(lineOf);
    return errors.length > 0 ? errors : missing.map(({ name }) => `${name} could not be loaded`);
  }

  /** Only these are needed from now on. */
  async narrow(files: SecretFiles): Promise<void> {
    const before = JSON.stringify(union(this.files, files));
    this.files = files;
    if (before !== JSON.stringify(files)) await this.rotation.watchFiles(files);
  }

  /** The configuration that `widen` was for is not used. */
  async revert(): Promise<void> {
    await this.rotation.watchFiles(this.files);
  }

  private onSet(set: SecretSet): void {
    const { logger, onChange } = this.options;
    const certificates = set.certificates.map(({ name, serial, notAfterMs }) => ({
      name,
      serial,
      notAfter: new Date(notAfterMs).toISOString(),
    }));
    const known = JSON.stringify([certificates, set.bundles.map(({ name, hash }) => [name, hash])]);
    if (known !== this.known) logger.info({ version: set.version, certificates }, 'certificates loaded');
    this.known = known;
    onChange(encodeSecrets(set));
  }

  private logFaults(faults: readonly SecretFault[]): void {
    const text = faults.map(lineOf).join('\n');
    if (text === this.logged) return;
    this.logged = text;
    const { logger } = this.options;
    for (const fault of faults) {
      const { path, cure } = fault;
      if (fault.severity === 'error') logger.error({ path, cure }, `secret not usable: ${fault.message}`);
      else logger.warn({ path, cure }, fault.message);
    }
    if (faults.length === 0) logger.info({}, 'every secret is usable again');
  }
}

function lineOf({ path, message, cure, severity }: SecretFault): string {
  return `${path}: ${severity}: ${message}\n    cure: ${cure}`;
}

function union(a: SecretFiles, b: SecretFiles): SecretFiles {
  return { certificates: byName(a.certificates, b.certificates), bundles: byName(a.bundles, b.bundles) };
}

/** Those of `b` win: a name stands for its certificate's path, but the key's may have changed. */
function byName<T extends { readonly name: string }>(a: readonly T[], b: readonly T[]): T[] {
  return [...new Map([...a, ...b].map((ref) => [ref.name, ref])).values()];
}
