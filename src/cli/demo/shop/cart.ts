/** `cart`: what is in the cart, and for each item what `stock` says of it. An item whose stock is unknown stays in. */
import { type Answered, attemptOf, call, type Handler, json, type Next } from './http.ts';
import { ITEM_NAMES } from './stock.ts';

export interface CartLine {
  readonly item: string;
  /** Null: stock did not answer. */
  readonly left: number | null;
  /** Which replica of stock answered, and at which attempt. */
  readonly replica: string;
  readonly attempt: number;
  readonly status: number;
  readonly elapsedMs: number;
}

export interface CartView {
  readonly replica: string;
  readonly attempt: number;
  readonly lines: readonly CartLine[];
}

export function cart(replica: string, stock: Next): Handler {
  return async ({ url, headers }) => {
    if (url.pathname !== '/cart') return json(404, { error: 'try /cart' });
    const lines = await Promise.all(
      ITEM_NAMES.map(async (item) => lineOf(item, await call(stock, `/stock/${item}`, headers))),
    );
    const view: CartView = { replica, attempt: attemptOf(headers), lines };
    return json(200, view);
  };
}

function lineOf(item: string, { status, body, elapsedMs }: Answered): CartLine {
  const { left, replica, attempt } = fields(body);
  return {
    item,
    left: status === 200 && typeof left === 'number' ? left : null,
    replica: typeof replica === 'string' ? replica : '–',
    attempt: typeof attempt === 'number' ? attempt : 0,
    status,
    elapsedMs,
  };
}

/** The answer's fields; none when something between us and stock answered in its own words. */
function fields(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
