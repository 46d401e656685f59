/** gRPC calls over HTTP/1.1, chunked and with trailers: the exchange does not know what is spoken on the wire. */
import type { TestProxy } from '../kit/proxy.ts';
import { RawClient } from '../kit/raw.ts';
import { type Answer, parse } from './echo.ts';

/** A gRPC frame in latin1. */
export function frame(message: string, flag = 0): string {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return String.fromCharCode(flag) + length.toString('latin1') + message;
}

export function chunk(bytes: string): string {
  return `${bytes.length.toString(16)}\r\n${bytes}\r\n`;
}

export const LAST = '0\r\n\r\n';

/** The head of a call; its body follows in chunks. */
export function callHead(...fields: string[]): string {
  const all = ['Host: shop', 'content-type: application/grpc', 'te: trailers', ...fields];
  return `POST /shop.Cart/Add HTTP/1.1\r\n${all.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n`;
}

export const CALL_BODY = chunk(frame('ask')) + LAST;

/** An answer with messages, then its status as trailers. */
export function answered(status: number, ...messages: string[]): string {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n';
  const body = messages.map((message) => chunk(frame(message))).join('');
  return `${head}${body}0\r\ngrpc-status: ${status}\r\nx-cost: 7\r\n\r\n`;
}

/** An answer that is all head. */
export function trailersOnly(status: number, ...fields: string[]): string {
  const all = ['content-type: application/grpc', `grpc-status: ${status}`, ...fields, 'Content-Length: 0'];
  return `HTTP/1.1 200 OK\r\n${all.join('\r\n')}\r\n\r\n`;
}

/** A whole request has come. */
export function complete(text: string): boolean {
  return text.endsWith(LAST);
}

/** Makes one call on a connection of its own and returns the whole answer. */
export async function makeCall(proxy: TestProxy, ...fields: string[]): Promise<Answer> {
  const client = await RawClient.connect(proxy.port);
  client.send(callHead(...fields, 'Connection: close') + CALL_BODY);
  const text = await client.untilEnd();
  client.destroy();
  return parse(text);
}

/** The status and the message that an answer states in its head. */
export function headStatus({ status, headers, body }: Answer): [number, string | undefined, string] {
  return [status, headers.get('grpc-status'), body];
}
