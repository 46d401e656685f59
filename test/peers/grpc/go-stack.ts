/** Servers and clients of Go's gRPC: processes of go/, which install.sh builds, told and heard by lines of JSON. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { peer } from '../../kit/peers.ts';
import {
  type CallResult,
  type CallSpec,
  type ClientOptions,
  EventLog,
  type GrpcClient,
  type GrpcServer,
  patience,
  type RunningCall,
  type ServerEvent,
  type ServerOptions,
  type Stack,
} from './service.ts';

const program = peer('grpc-peer');

export const goStack: Stack = {
  name: 'Go',
  skip: program.skip && `${program.skip}: run test/peers/grpc/install.sh`,
  serve,
  connect,
};

interface Line {
  readonly event: string;
  readonly call?: string;
  readonly port?: number;
  readonly count?: number;
}

function start(args: readonly string[], onLine: (line: Line) => void): ChildProcess {
  const child = spawn(program.path as string, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
    onLine(JSON.parse(line) as Line),
  );
  child.stdin?.on('error', () => {});
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function serve(options: ServerOptions = {}): Promise<GrpcServer> {
  const events = new EventLog();
  const listening = Promise.withResolvers<number>();
  const stopped = Promise.withResolvers<void>();
  const child = start(
    [
      'server',
      ...(options.tls ? ['-cert', options.tls.certFile, '-key', options.tls.keyFile] : []),
      ...(options.connectionAgeMs === undefined ? [] : ['-age', `${options.connectionAgeMs}ms`]),
    ],
    (line) => {
      if (line.event === 'listening') listening.resolve(line.port as number);
      else if (line.event === 'stopped') stopped.resolve();
      else events.add(line as ServerEvent);
    },
  );
  child.once('exit', () => listening.reject(new Error('the Go server did not start')));
  return {
    port: await listening.promise,
    events,
    stop() {
      child.stdin?.write('stop\n');
      return stopped.promise;
    },
    setHealth(well) {
      child.stdin?.write(well ? 'well\n' : 'sick\n');
    },
    close: () => end(child),
  };
}

async function connect(options: ClientOptions): Promise<GrpcClient> {
  const calls = new Map<string, GoCall>();
  const child = start(
    [
      'client',
      '-target',
      `127.0.0.1:${options.port}`,
      ...(options.tls ? ['-ca', options.tls.caFile, '-name', options.tls.name] : []),
    ],
    (line) => calls.get(line.call as string)?.onLine(line),
  );
  return {
    start(name, spec) {
      const call = new GoCall(child, name, spec);
      calls.set(name, call);
      return call;
    },
    close: () => end(child),
  };
}

class GoCall implements RunningCall {
  readonly result: Promise<CallResult>;
  private readonly child: ChildProcess;
  private readonly name: string;
  private resolve!: (result: CallResult) => void;
  private count = 0;
  private waiting: (() => void)[] = [];

  constructor(child: ChildProcess, name: string, spec: CallSpec) {
    this.child = child;
    this.name = name;
    this.result = new Promise((resolve) => {
      this.resolve = resolve;
    });
    this.say({ op: 'start', ...spec, metadata: { 'x-call': name, ...spec.metadata } });
  }

  cancel(): void {
    this.say({ op: 'cancel' });
  }

  resume(): void {
    this.say({ op: 'resume' });
  }

  async received(count: number): Promise<void> {
    const waited = patience(`message ${count} at the client`);
    while (this.count < count)
      await Promise.race([new Promise<void>((resolve) => this.waiting.push(resolve)), waited.promise]);
    waited.over();
  }

  onLine(line: Line): void {
    if (line.event === 'result') this.resolve(line as unknown as CallResult);
    if (line.event !== 'message') return;
    this.count = line.count as number;
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  private say(what: object): void {
    this.child.stdin?.write(`${JSON.stringify({ ...what, call: this.name })}\n`);
  }
}
