/** Relative links of Markdown pages: the file is there, and the heading it points to as well. */
import { posix } from 'node:path';
import type { Finding } from './rules.ts';

/** @param pages path → text, of every Markdown page; @param exists whether a path is in the tree */
export function brokenLinks(
  pages: ReadonlyMap<string, string>,
  exists: (path: string) => boolean,
): Finding[] {
  const findings: Finding[] = [];
  for (const [path, text] of pages) {
    const prose = text.replace(/```[\s\S]*?```/g, (block) => block.replace(/[^\n]/g, ' '));
    for (const match of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      const link = match[1] ?? '';
      if (/^[a-z]+:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : posix.join(posix.dirname(path), file);
      const page = pages.get(target);
      const line = prose.slice(0, match.index).split('\n').length;
      if (page === undefined && !exists(target)) {
        findings.push({ rule: 'links', path, line, message: `${link}: no such file` });
      } else if (anchor !== undefined && page !== undefined && !anchors(page).has(anchor)) {
        findings.push({ rule: 'links', path, line, message: `${link}: no such heading` });
      }
    }
  }
  return findings;
}

/** Headings as GitHub names them. */
function anchors(page: string): Set<string> {
  const headings = page.matchAll(/^#{1,6}\s+(.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    ),
  );
}
