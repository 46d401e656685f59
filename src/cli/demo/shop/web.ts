/**
 * `web`: the shop's page, for whichever Host it is called by. The page answers 200 also while cart or stock is
 * down, and shows it: a shop that can't count its apples still sells bread.
 */
import type { CartLine, CartView } from './cart.ts';
import { type Answered, call, type Handler, json, type Next, traceIdOf } from './http.ts';

export interface WebSettings {
  readonly cart: Next;
  /** Where people read a trace, `{id}` standing for its id; null: the page shows the id only. */
  readonly traceUrl: string | null;
}

export function web({ cart, traceUrl }: WebSettings): Handler {
  return async ({ url, headers }) => {
    if (url.pathname !== '/') return json(404, { error: 'the shop is at /' });
    const answered = await call(cart, '/cart', headers);
    const view = viewOf(answered);
    const body = page(view, answered, traceIdOf(headers), traceUrl);
    return { status: 200, body, contentType: 'text/html; charset=utf-8' };
  };
}

function viewOf({ status, body }: Answered): CartView | null {
  if (status !== 200) return null;
  try {
    return JSON.parse(body) as CartView;
  } catch {
    return null;
  }
}

function page(
  view: CartView | null,
  { status, elapsedMs }: Answered,
  traceId: string | undefined,
  traceUrl: string | null,
): string {
  const shown = view
    ? `<table><tr><th>Item<th>In stock<th>Told by<th>Attempt<th>Status<th>Time</tr>${view.lines.map(row).join('')}</table>
<p>Your cart came from <b>${safe(view.replica)}</b> in ${elapsedMs} ms${view.attempt > 1 ? `, at attempt ${view.attempt}` : ''}.</p>`
    : `<p class="bad">The cart is away (${status === 0 ? 'no answer' : `status ${status}`}). Please look again in a moment.</p>`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The corner shop</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd}
.again{background:#fff4d6}.bad{background:#ffe3e0}code{font-size:.85em}
</style>
<h1>The corner shop</h1>
${shown}
<p>${trace(traceId, traceUrl)}</p>
</html>
`;
}

function row({ item, left, replica, attempt, status, elapsedMs }: CartLine): string {
  const kind = left === null ? ' class="bad"' : attempt > 1 ? ' class="again"' : '';
  const cells = [item, left ?? 'unknown', replica, attempt || '–', status || 'no answer', `${elapsedMs} ms`];
  return `<tr${kind}>${cells.map((cell) => `<td>${safe(String(cell))}`).join('')}</tr>\n`;
}

function trace(id: string | undefined, traceUrl: string | null): string {
  if (id === undefined || !/^[0-9a-f]{16,32}$/.test(id)) return 'This page was not traced.';
  if (traceUrl === null) return `Trace <code>${id}</code>`;
  return `Trace <a href="${safe(traceUrl.replace('{id}', id))}"><code>${id}</code></a>`;
}

function safe(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
