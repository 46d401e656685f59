/**
 * `outboard demo`: the proxy with `config/demo.yaml` in front of the shop, and a trickle of visitors. What was
 * started is stopped in the reverse order, whichever step failed: visitors, then the proxy (which
 * drains), then the shop, then the certificate's directory.
 */
import { fileURLToPath } from 'node:url';
import { catchSignals } from '../signals.ts';
import { makeCertificate } from './certificate.ts';
import { guide } from './guide.ts';
import { takenPorts } from './ports.ts';
import { startShop } from './processes.ts';
import { startTrickle } from './trickle.ts';

/** What the demo asks of the supervisor. */
export interface ProxyOptions {
  readonly configFile: string;
  /** Where relative paths in the file start: the certificate's directory. */
  readonly directory: string;
  /** In place of the file's `tracing.otlp.endpoint`; null leaves that as it is. */
  readonly otlpEndpoint: string | null;
}

export interface RunningProxy {
  /** Every worker listens. */
  readonly ready: Promise<void>;
  /** Drains; gives the exit status. */
  stop(): Promise<number>;
}

export interface DemoOptions {
  readonly startProxy: (options: ProxyOptions) => Promise<RunningProxy>;
  /** Default: `config/demo.yaml` of this installation. */
  readonly configFile?: string;
  /** `http://host:4318`: traces go there too. */
  readonly jaeger?: string;
  /** Resolves when the demo should end; default: the first SIGINT or SIGTERM. */
  readonly until?: Promise<void>;
  /** Default: standard output. */
  readonly print?: (text: string) => void;
}

const CONFIG_FILE = fileURLToPath(new URL('../../../config/demo.yaml', import.meta.url));

/** Runs the demo to its end and gives the exit status. A port that is taken ends it with 1 and one line. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const print = options.print ?? ((text: string) => void process.stdout.write(`${text}\n`));
  const taken = await takenPorts();
  if (taken !== null) {
    process.stderr.write(`${taken}\n`);
    return 1;
  }
  const until = options.until ?? catchSignals().stop.then(() => undefined);
  const undo: Array<() => Promise<unknown>> = [];
  let status = 0;
  try {
    const certificate = await makeCertificate();
    undo.push(certificate.remove);
    const shop = await startShop();
    undo.push(shop.stop);
    const proxy = await options.startProxy({
      configFile: options.configFile ?? CONFIG_FILE,
      directory: certificate.directory,
      otlpEndpoint: options.jaeger ?? null,
    });
    undo.push(async () => {
      status = await proxy.stop();
    });
    await proxy.ready;
    const trickle = startTrickle(certificate.caPem);
    undo.push(trickle.stop);
    print(guide({ caFile: certificate.caFile, jaeger: options.jaeger ?? null }));
    await until;
    print('draining');
  } finally {
    // One step that fails must not leave the others' processes behind.
    for (const step of undo.reverse()) await step().catch((error) => process.stderr.write(`${error}\n`));
  }
  return status;
}
