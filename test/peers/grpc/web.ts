/** A gRPC-Web client by `fetch`, as a browser's page has it. */

export interface WebAnswer {
  readonly httpStatus: number;
  readonly contentType: string;
  readonly headers: Record<string, string>;
  /** Bytes of each message. */
  readonly messages: number[][];
  /** The final frame's lines; empty when the answer had none. */
  readonly trailers: Record<string, string>;
  /** How many pieces the body came in. */
  readonly chunks: number;
}

/**
 * Calls `url` with one message. Self-contained, because the tests also hand its source text to a browser. `cuts`: a
 * text request is encoded in so many pieces, each with its own padding, as the protocol allows.
 */
export async function callWeb(
  url: string,
  message: number[],
  text: boolean,
  metadata: Record<string, string>,
  cuts = 1,
): Promise<WebAnswer> {
  const type = text ? 'application/grpc-web-text+proto' : 'application/grpc-web+proto';
  const frame = new Uint8Array(5 + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  const base64 = (bytes: Uint8Array): string =>
    btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  const step = Math.ceil(frame.length / cuts);
  let encoded = '';
  for (let at = 0; at < frame.length; at += step) encoded += base64(frame.subarray(at, at + step));
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': type, accept: type, 'x-grpc-web': '1', ...metadata },
    body: text ? encoded : frame,
  });
  const parts: Uint8Array[] = [];
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
  }
  let body = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => {
    body.set(part, at);
    return at + part.length;
  }, 0);
  if (text) {
    // Each group of four may end in padding, so groups are decoded one by one.
    const groups = new TextDecoder().decode(body).match(/.{1,4}/gs) ?? [];
    const decoded = groups.map((group) => atob(group)).join('');
    body = Uint8Array.from(decoded, (character) => character.charCodeAt(0));
  }
  const messages: number[][] = [];
  const trailers: Record<string, string> = {};
  for (let at = 0; at < body.length; ) {
    const length = new DataView(body.buffer).getUint32(at + 1);
    const payload = body.subarray(at + 5, at + 5 + length);
    if (payload.length < length) throw new Error('the last frame is cut short');
    if ((body[at] as number) & 128) {
      if (at + 5 + length !== body.length) throw new Error('there is something after the trailers');
      for (const line of new TextDecoder().decode(payload).split('\r\n')) {
        const colon = line.indexOf(':');
        if (colon > 0) trailers[line.slice(0, colon)] = line.slice(colon + 1).trim();
      }
    } else messages.push([...payload]);
    at += 5 + length;
  }
  return {
    httpStatus: response.status,
    contentType: response.headers.get('content-type') ?? '',
    headers: Object.fromEntries(response.headers),
    messages,
    trailers,
    chunks: parts.length,
  };
}
