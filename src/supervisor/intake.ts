/**
 * From the configuration file to the publisher, and what became of it. A configuration can be valid and still be
 * refused, because a port is taken or a certificate is missing: such a one is offered again every ten
 * seconds, so that it takes effect when the cause is gone, as one would expect of a valid file.
 */
import type { ConfigView } from '../admin/index.ts';
import type { Clock } from '../base/index.ts';
import type { ConfigDraft } from '../config/index.ts';
import { formatFault } from '../config/load/index.ts';
import { type ConfigInput, createFileSource, type FileSource } from '../controlplane/sources/index.ts';
import type { Logger } from './logger.ts';
import { type Overrides, withOverrides } from './overrides.ts';
import type { Refusal } from './publisher.ts';
import { StartError } from './start-error.ts';

export interface IntakeOptions {
  readonly file: string;
  /** Where relative paths in the file start; absent: the file's directory. */
  readonly directory?: string;
  readonly overrides: Overrides;
  /** Milliseconds until a refused configuration is offered again. */
  readonly retryMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ReloadResult {
  readonly accepted: boolean;
  /** Version in force now. */
  readonly version: number;
  /** Why not, one line each. */
  readonly faults: readonly string[];
}

type Publish = (draft: ConfigDraft) => Promise<Refusal>;

export class ConfigIntake {
  private readonly options: IntakeOptions;
  private readonly source: FileSource;
  private newest: ConfigDraft | null = null;
  private publish: Publish | null = null;
  private outcome: Promise<Refusal> = Promise.resolve([]);
  private refusal: Refusal = [];
  private refused = 0;
  private lastGoodAtMs: number | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(options: IntakeOptions) {
    this.options = options;
    const { file, directory, clock, logger } = options;
    this.source = createFileSource({
      file,
      clock,
      ...(directory === undefined ? {} : { directory }),
      onConfig: (input) => this.onConfig(input),
      onRejected: (faults) => {
        if (this.publish === null) return;
        logger.error({ file }, 'configuration refused; the last good one stays in force');
        for (const fault of faults) logger.error({ file }, formatFault(fault));
      },
      onResolveFailed: (service, name, error) => {
        logger.warn({ service, name, error }, 'name did not resolve; its last addresses stay');
      },
    });
  }

  /** The first valid configuration. Throws a StartError with every fault of the file. */
  async first(): Promise<ConfigDraft> {
    await this.source.start();
    if (this.newest !== null) return this.newest;
    throw new StartError((this.source.state().lastError ?? []).map(formatFault));
  }

  /** Configurations go to `publish` from now on, the first one included. */
  async begin(publish: Publish): Promise<Refusal> {
    this.publish = publish;
    this.offer();
    return this.outcome;
  }

  async reload(version: () => number): Promise<ReloadResult> {
    const accepted = await this.source.reload();
    const faults = accepted ? await this.outcome : (this.source.state().lastError ?? []).map(formatFault);
    return { accepted: faults.length === 0, version: version(), faults };
  }

  get rejected(): number {
    return this.source.state().rejected + this.refused;
  }

  /** Whether the newest configuration is in force. */
  get isCurrent(): boolean {
    return this.source.state().lastError === null && this.refusal.length === 0;
  }

  view(version: number): ConfigView['source'] {
    const { file, lastError } = this.source.state();
    const lines = lastError === null ? this.refusal : lastError.map(formatFault);
    return {
      file,
      version,
      lastGoodAt: this.lastGoodAtMs === null ? null : new Date(this.lastGoodAtMs).toISOString(),
      lastError: lines.length === 0 ? null : lines.join('\n'),
      rejected: this.rejected,
    };
  }

  stop(): void {
    this.source.stop();
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private onConfig({ draft, warnings, cause }: ConfigInput): void {
    if (cause === 'file') {
      for (const warning of warnings) this.options.logger.warn({}, formatFault(warning));
    }
    this.newest = withOverrides(draft, this.options.overrides);
    if (this.publish !== null) this.offer();
  }

  private offer(): void {
    const { newest, publish } = this;
    if (newest === null || publish === null) return;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.outcome = publish(newest)
      .catch((err: Error): Refusal => {
        this.options.logger.error({ err }, 'publishing a configuration failed');
        return [err.message];
      })
      .then((refusal) => {
        this.settle(refusal, newest);
        return refusal;
      });
  }

  private settle(refusal: Refusal, draft: ConfigDraft): void {
    const before = this.refusal.join('\n');
    this.refusal = refusal;
    if (refusal.length === 0) {
      this.lastGoodAtMs = this.options.clock.wallMs();
      return;
    }
    if (refusal.join('\n') !== before) {
      this.refused++;
      this.logRefusal(refusal);
    }
    if (this.newest === draft && this.lastGoodAtMs !== null)
      this.timer = setTimeout(() => this.offer(), this.options.retryMs).unref();
  }

  /** The first configuration's refusal is told by who started the process. */
  private logRefusal(refusal: Refusal): void {
    const { logger } = this.options;
    if (this.lastGoodAtMs === null) return;
    logger.error({}, 'configuration not put in force; the last good one stays, and this one is tried again');
    for (const line of refusal) logger.error({}, line);
  }
}
