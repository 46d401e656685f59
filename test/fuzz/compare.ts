/** Where two verdicts on the same bytes part, if they do. */
import type { Verdict } from './node-side.ts';

export type Difference =
  /** We refuse something that Node takes, here or at all. `code` is our failure kind, `node` what Node made of it. */
  | { readonly who: 'we refuse'; readonly code: string; readonly detail: string; readonly node: string }
  /** Node refuses something that we take. `code` is Node's, `ours` what we made of it. */
  | { readonly who: 'Node refuses'; readonly code: string; readonly ours: string }
  /** Both accept, and see different messages: the dangerous kind. */
  | { readonly who: 'both accept'; readonly ours: string; readonly node: string };

const NOTHING = 'nothing';

/** Null when both saw the same messages and both refused, or neither. */
export function compare(ours: Verdict, node: Verdict): Difference | null {
  for (let i = 0; ; i++) {
    const mine = ours.messages[i] ?? NOTHING;
    const theirs = normalised(node.messages[i] ?? NOTHING);
    if (mine === theirs && mine !== NOTHING && !mine.endsWith(' unfinished')) continue;
    const refusedHere = ours.refused !== null && ours.messages.length <= i + 1 && !isWhole(mine);
    const refusedThere = node.refused !== null && node.messages.length <= i + 1 && !isWhole(theirs);
    if (refusedHere && refusedThere) {
      // The one that had taken the head is the one that refuses later, in the body.
      if (mine === NOTHING || mine === theirs) return null;
      if (theirs === NOTHING) return { who: 'Node refuses', code: node.refused as string, ours: mine };
      return { who: 'both accept', ours: mine, node: theirs };
    }
    if (refusedHere) {
      const [code, ...detail] = (ours.refused as string).split(': ');
      return { who: 'we refuse', code: code as string, detail: detail.join(': '), node: theirs };
    }
    if (refusedThere) return { who: 'Node refuses', code: node.refused as string, ours: mine };
    return mine === theirs ? null : { who: 'both accept', ours: mine, node: theirs };
  }
}

function isWhole(message: string): boolean {
  return message !== NOTHING && !message.endsWith(' unfinished');
}

/** An absolute-form target as our codec splits it (RFC 9112 section 3.2). */
function normalised(message: string): string {
  return message.replace(/^(\S+) https?:\/\/[^/? ]*(\S*) /i, (_all, method: string, rest: string) => {
    const target = rest.startsWith('/') ? rest : rest === '' && method === 'OPTIONS' ? '*' : `/${rest}`;
    return `${method} ${target} `;
  });
}
