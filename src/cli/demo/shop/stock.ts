/**
 * `stock`: how many of an item are left. Replicas differ by their settings only: one fails some of its
 * requests, one is slow and works on few at a time, as real replicas are on a bad day.
 *
 * Randomness comes from a seed, so that a replica's bad luck is the same in every run.
 */
import { attemptOf, type Call, type Handler, json, type Reply } from './http.ts';

/** How many may wait for a slow replica before it refuses. */
const QUEUE_MAX = 64;

export interface StockSettings {
  readonly replica: string;
  /** Share of requests answered with 503, 0 to 1. */
  readonly failing: number;
  /** Milliseconds that a request takes, at least and at most. */
  readonly slowMs: readonly [number, number];
  /** Requests worked on at a time; the rest wait. */
  readonly concurrency: number;
  readonly seed: number;
}

const ITEMS: Readonly<Record<string, number>> = { apples: 12, bread: 5, candles: 31 };
export const ITEM_NAMES = Object.keys(ITEMS);

export function stock(settings: StockSettings): Handler {
  const random = seededRandom(settings.seed);
  const turn = turnstile(settings.concurrency);
  return async (call) => {
    if (call.url.pathname !== '/audit' && !call.url.pathname.startsWith('/stock/')) {
      return json(404, { error: 'try /stock/apples or /audit' });
    }
    // `?fail=first` fails on purpose wherever it lands, until somebody tries again.
    if (call.url.searchParams.get('fail') === 'first' && attemptOf(call.headers) === 1) {
      return broken(settings, 'asked to fail its first attempt');
    }
    if (random() < settings.failing) return broken(settings, 'having a bad moment');
    const leave = await turn();
    if (leave === null) return broken(settings, 'too many waiting');
    try {
      const [least, most] = settings.slowMs;
      if (most > 0) await pause(least + random() * (most - least));
      return look(settings, call);
    } finally {
      leave();
    }
  };
}

/** Mulberry32: 32 bits of state, good enough to misbehave by. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

function look({ replica }: StockSettings, { url, headers }: Call): Reply {
  const attempt = attemptOf(headers);
  if (url.pathname === '/audit') return json(200, { audit: ITEMS, replica, attempt });
  const item = url.pathname.slice('/stock/'.length);
  if (!Object.hasOwn(ITEMS, item)) return json(404, { item, error: 'the shop has none of these', replica });
  return json(200, { item, left: ITEMS[item], replica, attempt });
}

function broken({ replica }: StockSettings, reason: string): Reply {
  return json(503, { error: `${replica} is ${reason}`, replica });
}

/** Lets `width` through at a time; null for whoever finds the queue full. */
function turnstile(width: number): () => Promise<(() => void) | null> {
  const waiting: Array<() => void> = [];
  let inside = 0;
  const leave = (): void => {
    inside -= 1;
    waiting.shift()?.();
  };
  return async () => {
    if (inside >= width) {
      if (waiting.length >= QUEUE_MAX) return null;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    inside += 1;
    return leave;
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
