/**
 * What one header block decodes to: pseudo-header fields apart, all others as a HeaderList. Blocks are kept by the
 * cache and handed out again, so nothing changes one; `takeHeaders` copies when that is needed.
 */
import { H, HeaderList } from '../../../message/index.ts';

/** Values as sent; null: absent. */
export interface PseudoFields {
  readonly method: string | null;
  readonly scheme: string | null;
  readonly authority: string | null;
  readonly path: string | null;
  readonly status: string | null;
  readonly protocol: string | null;
}

/** How many blocks were shared so far. */
let sources = 0;

export class HeaderBlock {
  readonly pseudo: PseudoFields;
  /** As HeaderList takes them. */
  readonly text: string;
  readonly spans: readonly number[];
  readonly ids: readonly number[];
  /** Which limit was passed; empty: none. The fields are incomplete then, and the dynamic table is in step all the same. */
  readonly tooLarge: string;
  /** What makes the block malformed (RFC 9113 section 8.1.1) whatever it belongs to; empty: nothing so far. */
  readonly fault: string;
  /** What `field-rules.ts` found out, and as what it judged the block. */
  judgedAs = 0;
  verdict = '';
  contentLength = -1;
  status = 0;
  /** How long the path may be without making the block too large. */
  pathRoom = 0;
  private headers: HeaderList;
  private shared = false;

  constructor(
    pseudo: PseudoFields,
    text: string,
    spans: number[],
    ids: number[],
    tooLarge: string,
    fault: string,
    headers = new HeaderList(text, spans, ids),
  ) {
    this.pseudo = pseudo;
    this.text = text;
    this.spans = spans;
    this.ids = ids;
    this.tooLarge = tooLarge;
    this.fault = fault;
    this.headers = headers;
  }

  /** Number of fields without pseudo-header fields, crumbs of a cookie counted each. */
  get count(): number {
    return this.ids.length;
  }

  /** Characters that a cache would hold. */
  get textLength(): number {
    return this.text.length;
  }

  /** The fields, for the caller to change; once, and after the block was judged, unless it is a shared one. */
  takeHeaders(): HeaderList {
    return this.shared ? this.headers.clone() : this.headers;
  }

  /** From now on `takeHeaders` copies. */
  share(): void {
    this.shared = true;
    this.headers.source = ++sources;
  }

  /** The same but for the path; of a shared block that makes a request. */
  withPath(path: string): HeaderBlock {
    const { pseudo, text, spans, ids, headers } = this;
    const { method, scheme, authority, status, protocol } = pseudo;
    const block = new HeaderBlock(
      { method, scheme, authority, path, status, protocol },
      text,
      spans as number[],
      ids as number[],
      '',
      '',
      headers,
    );
    block.judgedAs = this.judgedAs;
    block.contentLength = this.contentLength;
    block.pathRoom = this.pathRoom;
    block.shared = true;
    return block;
  }

  /** `places` are those of fields that are never to be indexed. */
  markSensitive(places: readonly number[]): void {
    const { text, spans } = this;
    this.headers.sensitive = places.map((place) => text.slice(spans[4 * place], spans[4 * place + 1]));
  }

  /** RFC 9113 section 8.2.3: crumbs of a cookie become one field before they leave HTTP/2. */
  joinCookies(): void {
    const { text, spans, ids } = this;
    let cookie = '';
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] !== H.cookie) continue;
      const crumb = text.slice(spans[4 * i + 2], spans[4 * i + 3]);
      cookie = cookie === '' ? crumb : `${cookie}; ${crumb}`;
    }
    // A copy: the list is not to change the ids that it shares with this block.
    this.headers = this.headers.clone();
    this.headers.set(H.cookie, cookie);
  }
}
