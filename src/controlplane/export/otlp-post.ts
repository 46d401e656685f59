/**
 * Posts one batch of spans as OTLP/HTTP in protobuf. Tried again on what the OTLP text calls retryable (429,
 * 502, 503, 504, and no answer at all), with full jitter, within a fixed time in all; never rejects.
 */
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import type * as Undici from 'undici';
import { type Clock, systemClock } from '../../base/index.ts';
import { otel } from './otel.ts';

// Not the whole of undici, whose fetch, WebSocket and mocks take another 4 MiB.
const require = createRequire(import.meta.url);
const Agent = require('undici/lib/dispatcher/agent.js') as typeof Undici.Agent;
const request = require('undici/lib/api/api-request.js') as Undici.Agent['request'];

export interface OtlpPost {
  /** For one post, connecting included. 5,000 ms. */
  readonly timeoutMs: number;
  /** For all posts of one batch with their backoffs. 15,000 ms. */
  readonly totalMs: number;
  /** First backoff is random up to this; doubled for each further one. 500 ms. */
  readonly backoffMs: number;
  /** From [0, 1). */
  readonly random: () => number;
  readonly clock: Clock;
}

export interface PostResult {
  /** Empty: the backend took the batch. */
  readonly error: string;
  /** Spans of it that the backend refused. */
  readonly rejected: number;
}

const DEFAULTS: OtlpPost = {
  timeoutMs: 5_000,
  totalMs: 15_000,
  backoffMs: 500,
  random: Math.random,
  clock: systemClock,
};
const BACKOFF_MS_MAX = 5_000;
const RETRYABLE = new Set([429, 502, 503, 504]);
const ANSWER_BYTES_MAX = 64 * 1_024;

/** What one post came to; `retry` says whether another may help, and when at the earliest. */
interface Attempt extends PostResult {
  readonly retry: boolean;
  readonly afterMs: number;
}

export class OtlpPoster {
  failedPosts = 0;
  readonly totalMs: number;
  private readonly settings: OtlpPost;
  private readonly origin: string;
  private readonly path: string;
  private readonly agent: Undici.Agent;
  private readonly hurrying = new AbortController();
  private readonly aborting = new AbortController();

  constructor(endpoint: string, settings: Partial<OtlpPost>) {
    this.settings = { ...DEFAULTS, ...settings };
    this.totalMs = this.settings.totalMs;
    const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
      throw new Error(`tracing.otlp.endpoint ${endpoint} is no URL; write it like http://127.0.0.1:4318`);
    }
    const base = url.pathname.replace(/\/+$/, '');
    this.origin = url.origin;
    this.path = (base.endsWith('/v1/traces') ? base : `${base}/v1/traces`) + url.search;
    this.agent = new Agent({ connections: 2, connect: { timeout: this.settings.timeoutMs }, pipelining: 1 });
  }

  async post(spans: ReadableSpan[]): Promise<PostResult> {
    const body = otel().ProtobufTraceSerializer.serializeRequest(spans);
    if (body === undefined) return { error: 'the batch could not be encoded', rejected: 0 };
    const deadlineMs = this.settings.clock.nowMs() + this.settings.totalMs;
    for (let attempt = 0; ; attempt++) {
      const result = await this.once(body);
      if (result.error === '') return result;
      this.failedPosts++;
      if (!result.retry || this.hurrying.signal.aborted) return result;
      const window = Math.min(BACKOFF_MS_MAX, this.settings.backoffMs * 2 ** attempt);
      const waitMs = Math.max(result.afterMs, window * this.settings.random());
      if (this.settings.clock.nowMs() + waitMs >= deadlineMs) return result;
      // Hurrying ends the wait early: then the batch is tried one last time.
      await sleep(waitMs, undefined, { signal: this.hurrying.signal, ref: false }).catch(() => {});
    }
  }

  /** No backoff from now on: each batch is tried once more at most. */
  hurry(): void {
    this.hurrying.abort();
  }

  /** Gives up whatever is under way. */
  abort(): void {
    this.hurrying.abort();
    this.aborting.abort();
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }

  private async once(body: Uint8Array): Promise<Attempt> {
    const { timeoutMs } = this.settings;
    try {
      const answer = await request.call(this.agent, {
        origin: this.origin,
        path: this.path,
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf', 'user-agent': 'outboard' },
        body,
        signal: AbortSignal.any([this.aborting.signal, AbortSignal.timeout(timeoutMs)]),
      });
      const { statusCode } = answer;
      if (statusCode < 200 || statusCode > 299) {
        await answer.body.dump({ limit: ANSWER_BYTES_MAX });
        const retry = RETRYABLE.has(statusCode);
        const afterMs = retry ? retryAfterMs(answer.headers['retry-after']) : 0;
        return { error: `the collector answered ${statusCode}`, rejected: 0, retry, afterMs };
      }
      const rejected = rejectedSpans(await readUpTo(answer.body, ANSWER_BYTES_MAX));
      return { error: '', rejected, retry: false, afterMs: 0 };
    } catch (error) {
      return { error: describe(error, timeoutMs), rejected: 0, retry: true, afterMs: 0 };
    }
  }
}

/** The whole answer, or nothing of one that is too long to be meant. */
async function readUpTo(body: AsyncIterable<Buffer>, limit: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > limit) return new Uint8Array(0);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function rejectedSpans(answer: Uint8Array): number {
  if (answer.length === 0) return 0;
  try {
    return Number(
      otel().ProtobufTraceSerializer.deserializeResponse(answer).partialSuccess?.rejectedSpans ?? 0,
    );
  } catch {
    // Some collectors answer in JSON or plain text whatever they were asked in; the status was 2xx.
    return 0;
  }
}

/** Seconds only: a collector that sends a date means the same. */
function retryAfterMs(value: string | string[] | undefined): number {
  const seconds = typeof value === 'string' ? Number(value) : Number.NaN;
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0;
}

function describe(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `the collector did not answer within ${timeoutMs} ms`;
  const code = 'code' in error ? `${String(error.code)}: ` : '';
  return `${code}${error.message}`;
}
