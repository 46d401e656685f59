/**
 * Node's own HTTP/1 parser as the other opinion: a real http.Server (or client) with its default, strict options, on an
 * in-memory connection. What it makes of the bytes is written down in the same lines as our recorder's.
 */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';

/** What one parser made of one input. */
export interface Verdict {
  /** One entry per message accepted. */
  readonly messages: string[];
  /** `null` when all that came was accepted; else the parser's code or ours. */
  refused: string | null;
}

/** A connection that gives its peer the bytes it is told to and throws away what it is sent. */
class Line extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    done(error);
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

export class NodeServer {
  private readonly server: Server;
  private readonly verdicts = new WeakMap<object, Verdict>();

  constructor() {
    // Time limits are switched off: here nothing is slow. A missing Host is judged in `record`, since the server
    // answers it without an event.
    this.server = createServer({
      requireHostHeader: false,
      connectionsCheckingInterval: 2 ** 30,
      keepAliveTimeout: 0,
    });
    this.server.timeout = 0;
    this.server.on('request', (message, answer) => this.onRequest(message, answer));
    this.server.on('checkContinue', (message, answer) => this.onRequest(message, answer));
    this.server.on('checkExpectation', (message: IncomingMessage) => {
      this.verdictOf(message).refused ??= 'expectation';
    });
    for (const event of ['upgrade', 'connect'])
      this.server.on(event, (message: IncomingMessage) => this.record(message, 'tunnel'));
    this.server.on('clientError', (error: NodeJS.ErrnoException, line) => {
      const verdict = this.verdicts.get(line);
      // What follows a request with Connection: close is ignored, which this code says.
      if (verdict !== undefined && error.code !== 'HPE_CLOSED_CONNECTION')
        verdict.refused ??= error.code ?? error.message;
    });
  }

  /** Judges a batch of inputs at once, which takes a few turns of the event loop. */
  async judge(wires: readonly Buffer[]): Promise<Verdict[]> {
    const lines = wires.map((wire) => {
      const line = new Line();
      const verdict: Verdict = { messages: [], refused: null };
      this.verdicts.set(line, verdict);
      this.server.emit('connection', line);
      line.push(wire);
      return { line, verdict };
    });
    await settle();
    for (const { line } of lines) line.destroy();
    return lines.map(({ verdict }) => verdict);
  }

  private onRequest(message: IncomingMessage, answer: ServerResponse): void {
    answer.on('error', () => {});
    this.record(message, 'message');
  }

  private record(message: IncomingMessage, kind: string): void {
    const verdict = this.verdictOf(message);
    // Refused is refused, though the server itself reads on.
    if (verdict.refused !== null) return;
    if (message.httpVersion === '1.1' && message.headers.host === undefined) {
      verdict.refused = 'missing Host';
      return;
    }
    const { messages } = verdict;
    const at = messages.length;
    const head = `${message.method} ${message.url} ${fieldsOf(message)}`;
    messages.push(kind === 'tunnel' ? `${head} tunnel` : `${head} unfinished`);
    if (kind !== 'tunnel')
      takeBody(message, (body) => {
        messages[at] = `${head} ${body}`;
      });
  }

  private verdictOf(message: IncomingMessage): Verdict {
    return this.verdicts.get(message.socket) as Verdict;
  }
}

export class NodeClient {
  /** Judges answers to requests with this method. The connection ends after the bytes. */
  async judge(wires: readonly Buffer[], method: string): Promise<Verdict[]> {
    const lines: Line[] = [];
    const verdicts = wires.map((wire) => {
      const line = new Line();
      lines.push(line);
      const verdict: Verdict = { messages: [], refused: null };
      const call = request({ method, path: '/', host: 'a', createConnection: () => line });
      call.on('response', (answer) => {
        const head = `${answer.statusCode} ${fieldsOf(answer)}`;
        verdict.messages.push(`${head} unfinished`);
        takeBody(answer, (body) => {
          verdict.messages[0] = `${head} ${body}`;
        });
        answer.on('error', () => {
          verdict.refused ??= 'cut';
        });
      });
      for (const event of ['upgrade', 'connect'])
        call.on(event, (answer: IncomingMessage) => {
          verdict.messages.push(`${answer.statusCode} ${fieldsOf(answer)} tunnel`);
        });
      call.on('error', (error: NodeJS.ErrnoException) => {
        verdict.refused ??= error.code ?? error.message;
      });
      call.end();
      line.push(wire);
      line.push(null);
      return verdict;
    });
    await settle();
    for (const line of lines) line.destroy();
    return verdicts;
  }
}

/** Names as sent and values; the field that our head keeps apart is left out. */
function fieldsOf(message: IncomingMessage): string {
  let text = '';
  const { rawHeaders } = message;
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (message.statusCode !== null || (rawHeaders[i] as string).toLowerCase() !== 'host')
      text += `[${rawHeaders[i]}: ${rawHeaders[i + 1]}]`;
  return text;
}

function takeBody(message: IncomingMessage, done: (body: string) => void): void {
  let body = '';
  message.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
  });
  message.on('end', () => {
    if (!message.complete) return;
    const { rawTrailers } = message;
    let trailers = '';
    for (let i = 0; i < rawTrailers.length; i += 2) trailers += `[${rawTrailers[i]}: ${rawTrailers[i + 1]}]`;
    done(`(${body})${trailers}`);
  });
}

/** Streams deliver in later ticks; each turn runs them all. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
