/** Our parsers' opinion in the same words as node-side.ts. */
import { RequestParser, ResponseParser } from '../../src/dataplane/codec/http1/index.ts';
import type { HeaderList } from '../../src/message/index.ts';
import type { Verdict } from './node-side.ts';

/** Requests up to the first after which the connection is not kept, as a server would read them. */
export function judgeRequests(wire: Buffer): Verdict {
  const verdict: Verdict = { messages: [], refused: null };
  const notes = new Notes(verdict);
  const parser = new RequestParser(
    {
      onHead: (head) =>
        notes.head(`${head.method} ${head.target} ${fieldsOf(head.headers)}`, head.body === 'tunnel'),
      onBody: (chunk) => notes.body(chunk),
      onEnd: (trailers) => notes.end(trailers),
    },
    { scheme: 'http' },
  );
  let at = 0;
  while (at < wire.length) {
    const consumed = parser.execute(wire, at, wire.length);
    if (consumed < 0) {
      verdict.refused = `${parser.failure?.kind}: ${parser.failure?.detail}`;
      break;
    }
    at += consumed;
    // Node takes Proxy-Connection for Connection; what it does not read can't be compared.
    const last = verdict.messages.at(-1) ?? '';
    if (parser.done && (!parser.keepAlive || /\[proxy-connection: close\]/i.test(last))) break;
    if (parser.done) parser.next();
  }
  return verdict;
}

/** One answer to a request with this method, after which the connection ends. */
export function judgeResponse(wire: Buffer, method: string): Verdict {
  const verdict: Verdict = { messages: [], refused: null };
  const notes = new Notes(verdict);
  const parser = new ResponseParser({
    onInformational: () => {},
    onHead: (head) => notes.head(`${head.status} ${fieldsOf(head.headers)}`, head.body === 'tunnel'),
    onBody: (chunk) => notes.body(chunk),
    onEnd: (trailers) => notes.end(trailers),
  });
  parser.expect(method, false);
  const consumed = parser.execute(wire, 0, wire.length);
  if (consumed < 0) verdict.refused = parser.failure?.detail ?? '';
  // The connection drops an endpoint that sends more than its answer.
  else if (consumed < wire.length) verdict.refused = 'excess';
  else verdict.refused = parser.finish()?.kind ?? null;
  return verdict;
}

class Notes {
  private readonly messages: string[];
  private start = '';
  private data = '';
  private tunnel = false;

  constructor(verdict: Verdict) {
    this.messages = verdict.messages;
  }

  head(start: string, tunnel: boolean): void {
    this.start = start;
    this.data = '';
    this.tunnel = tunnel;
    this.messages.push(tunnel ? `${start} tunnel` : `${start} unfinished`);
  }

  body(chunk: Buffer): void {
    this.data += chunk.toString('latin1');
  }

  end(trailers: HeaderList | null): void {
    if (this.tunnel) return;
    this.messages[this.messages.length - 1] =
      `${this.start} (${this.data})${trailers === null ? '' : fieldsOf(trailers)}`;
  }
}

function fieldsOf(headers: HeaderList): string {
  let text = '';
  headers.forEach((name, value) => {
    text += `[${name}: ${value}]`;
  });
  return text;
}
