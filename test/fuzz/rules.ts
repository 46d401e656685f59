/**
 * Why our parsers and Node's may judge the same bytes differently. A difference that no rule covers fails the fuzz.
 * Where we refuse, our own message is matched, so that a rule covers what it says and no more.
 */
import type { Difference } from './compare.ts';
import { judgeRequests, judgeResponse } from './our-side.ts';

export interface Context {
  readonly wire: Buffer;
  /** Method of the request answered, or null when the wire holds requests. */
  readonly answerTo: string | null;
}

type Where = 'requests' | 'answers' | 'both';

interface Rule {
  readonly name: string;
  readonly where: Where;
  readonly why: string;
  covers(difference: Difference, context: Context): boolean;
}

/** The name of the rule that covers a difference, or null. */
export function explain(difference: Difference, context: Context): string | null {
  const other = context.answerTo === null ? 'answers' : 'requests';
  for (const rule of RULES) if (rule.where !== other && rule.covers(difference, context)) return rule.name;
  return null;
}

/** `report`: what our refusal says, `kind: detail`. `node`: what Node made of the message. */
function weRefuse(name: string, where: Where, report: RegExp, why: string, node = /./): Rule {
  return {
    name,
    where,
    why,
    covers: (it) => it.who === 'we refuse' && report.test(`${it.code}: ${it.detail}`) && node.test(it.node),
  };
}

/** `ours`: what we made of the message; `wire`: what the input must hold. */
function nodeRefuses(
  name: string,
  where: Where,
  code: RegExp,
  why: string,
  ours: RegExp,
  wire = /(?:)/,
): Rule {
  return {
    name,
    where,
    why,
    covers: (it, context) =>
      it.who === 'Node refuses' &&
      code.test(it.code) &&
      ours.test(it.ours) &&
      wire.test(context.wire.toString('latin1')),
  };
}

const OTHER_METHOD = /^(?!(GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH|CONNECT|TRACE|M-SEARCH|SOURCE) )/;

const RULES: readonly Rule[] = [
  weRefuse(
    'target form',
    'requests',
    /^bad-target: (CONNECT needs|\* is for|neither a path|user info|malformed auth|a fragment|0x[89a-f]. in the target)/,
    'Node leaves the target to the application (RFC 9112 section 3.2)',
  ),
  weRefuse(
    'Host',
    'requests',
    /^bad-host: /,
    'Node does not look into Host and keeps the first of several (RFC 9112 section 3.2: 400)',
  ),
  weRefuse(
    'Connection',
    'both',
    /^bad-connection-header: /,
    'Node looks for close, keep-alive and upgrade only',
  ),
  weRefuse(
    'trailer fields',
    'both',
    /^bad-trailer: /,
    'Node gives every trailer to the application (RFC 9110 section 6.5.1)',
  ),
  weRefuse(
    'codings before chunked',
    'both',
    /^unknown-transfer-encoding: /,
    'Node decodes the chunks and leaves the rest (RFC 9112 section 6.1: 501)',
  ),
  weRefuse(
    'chunks in HTTP/1.0',
    'both',
    /^http10-transfer-encoding: /,
    'Node reads them (RFC 9112 section 6.1: faulty framing)',
  ),
  weRefuse(
    'versions',
    'both',
    /^version-not-supported: HTTP\/(0\.9|2\.0)$/,
    'Node takes 0.9 and 2.0 on an HTTP/1 line',
  ),
  weRefuse(
    'request without version',
    'requests',
    /^(bad-request-line: no HTTP version|bare-lf: in the request line$)/,
    'Node takes HTTP/0.9 (RFC 9112 section 3: a version)',
  ),
  weRefuse(
    'spaces in the request line',
    'requests',
    /^bad-request-line: (empty target|0x20 in the HTTP version)/,
    'Node skips them (RFC 9112 section 3: one)',
  ),
  weRefuse(
    'line ends before a request',
    'requests',
    /before the request line$|too many empty lines$/,
    'Node skips any number, CR or LF alone too',
  ),
  weRefuse(
    'chunk extensions',
    'both',
    /^bad-chunk: .* in a chunk extension$/,
    'Node takes one without a name or a value',
  ),
  weRefuse('chunk sizes above 2^52', 'both', /^bad-chunk: size too long$/, 'Node counts in 64 bits'),
  weRefuse(
    'empty elements beside chunked',
    'both',
    /^bad-transfer-encoding: "(,[ \t,]*chunked|chunked[ \t]*,[ \t,]*)"/i,
    'Node skips them, as RFC 9110 section 5.6.1 allows; another hop may not',
  ),
  weRefuse(
    'tunnel with a body',
    'requests',
    /^bad-upgrade: /,
    'Node hands the connection over whatever the request says',
    / tunnel$/,
  ),
  weRefuse(
    'framing of a tunnel',
    'requests',
    /^(bad-transfer-encoding|length-conflict): /,
    'Node does not look at it',
    / tunnel$/,
  ),
  weRefuse('lengths above 2^53', 'both', /^bad-content-length: "[0-9]{16,20}"/, 'Node counts in 64 bits'),
  weRefuse(
    'expectations',
    'requests',
    /^expectation-failed: /,
    'Node looks for 100-continue, not for what else is there (RFC 9110 section 10.1.1)',
  ),
  weRefuse(
    'unknown codings in answers',
    'answers',
    /^bad-transfer-encoding: "/,
    'Node reads until the connection closes (RFC 9112 section 6.3 allows it; another hop may read chunks)',
  ),
  weRefuse(
    'framing of 1xx and 204',
    'answers',
    /^bad-(transfer-encoding|content-length): with status/,
    'Node ignores it (RFC 9110 section 8.6, RFC 9112 section 6.1: forbidden)',
  ),
  weRefuse(
    '101',
    'answers',
    /^bad-upgrade: 101/,
    'Node hands over what was not asked for, or named no protocol',
  ),
  weRefuse('status below 100', 'answers', /^bad-request-line: status /, 'Node takes any three digits'),
  weRefuse(
    'status line',
    'answers',
    /^(bad-request-line: (the answer does not begin|the endpoint seems|0x.. (in the status line|after the status code))|bare-(cr|lf): .*status line|control-byte: .* in the reason)/,
    'Node skips line ends and spaces and takes any byte in the reason (RFC 9112 section 4)',
  ),
  nodeRefuses(
    'methods',
    'requests',
    /^HPE_INVALID_METHOD$/,
    'Node knows a list, we take every token (RFC 9110 section 16.1.1) and wait for the rest of one',
    OTHER_METHOD,
  ),
  nodeRefuses(
    'PRI',
    'requests',
    /^HPE_INVALID_VERSION$/,
    'Node takes it for HTTP/2 whatever follows',
    /^PRI /,
  ),
  nodeRefuses(
    'later minor versions',
    'both',
    /^HPE_INVALID_VERSION$/,
    'Node knows none (RFC 9110 section 2.5: treat as 1.1)',
    /./,
    /HTTP\/1\.[2-9]/,
  ),
  nodeRefuses(
    'empty Expect',
    'requests',
    /^expectation$/,
    'Node answers 417; an empty list expects nothing',
    /\[expect: \]/i,
  ),
  nodeRefuses(
    'tab after a coding',
    'both',
    /^HPE_/,
    'Node does not skip it (RFC 9110 section 5.5: white space)',
    /\[transfer-encoding: chunked\]/i,
    /chunked *\t/i,
  ),
  nodeRefuses(
    'close in an interim answer',
    'answers',
    /^HPE_CLOSED_CONNECTION$/,
    'Node takes no answer after it; it says nothing about the final one',
    /^\d/,
    /^HTTP\/1\.1 1(.|\r\n)*connection:.*close/i,
  ),
  {
    name: 'line ends after an answer',
    where: 'answers',
    why: 'Node skips them',
    covers: (it, { wire }) =>
      it.who === 'we refuse' && it.code === 'excess' && /[\r\n]$/.test(wire.toString('latin1')),
  },
  {
    name: 'close beside keep-alive',
    where: 'requests',
    why: 'Node reads on after an HTTP/1.0 request with both (RFC 9112 section 9.3: close first)',
    covers: (it, { wire }) =>
      it.who !== 'we refuse' &&
      it.ours === 'nothing' &&
      /HTTP\/1\.0\r\n(?:[^\r\n]+\r\n)*?connection:[^\r\n]*keep-alive/i.test(wire.toString('latin1')) &&
      /connection:[^\r\n]*close/i.test(wire.toString('latin1')),
  },
  {
    name: 'PRI, seen late',
    where: 'requests',
    why: 'Node stops reading at PRI, taking it for HTTP/2, and says nothing or only then that it is none',
    covers: (it, { wire }) =>
      it.who !== 'Node refuses' && wire.includes('PRI ') && /(^nothing| unfinished)$/.test(it.node),
  },
  {
    name: 'unfinished section',
    where: 'both',
    why: 'Node refuses a line as it comes, we the section when it is complete',
    covers: (it, context) =>
      it.who === 'Node refuses' && it.code.startsWith('HPE_') && refusedWhenComplete(it.ours, context),
  },
  {
    name: 'Upgrade that is ignored',
    where: 'requests',
    why: 'Node hands over h2c (withdrawn by RFC 9113 section 3.1), empty ones, and those of HTTP/1.0 (RFC 9110 section 7.8: ignore)',
    covers: (it, { wire }) =>
      it.who !== 'Node refuses' &&
      it.node.endsWith(' tunnel') &&
      /\[upgrade: /i.test(it.node) &&
      (/\[upgrade: ([^\]]*h2c[^\]]*|[ ,]*)\]/i.test(it.node) || wire.includes('HTTP/1.0')),
  },
  {
    name: 'tab after a coding, answers',
    where: 'answers',
    why: 'Node does not skip it and reads until the connection closes (RFC 9110 section 5.5: white space)',
    covers: (it, { wire }) => it.who !== 'Node refuses' && /chunked *\t/i.test(wire.toString('latin1')),
  },
];

/** The input ends inside a head or trailer section; with its end we refuse it too. */
function refusedWhenComplete(ours: string, { wire, answerTo }: Context): boolean {
  if (ours !== 'nothing' && !ours.endsWith(' unfinished')) return false;
  return ['\r\n\r\n', '\n\r\n', ' HTTP/1.1\r\nHost: a\r\n\r\n'].some((end) => {
    const whole = Buffer.concat([wire, Buffer.from(end)]);
    const verdict = answerTo === null ? judgeRequests(whole) : judgeResponse(whole, answerTo);
    return verdict.refused !== null;
  });
}
