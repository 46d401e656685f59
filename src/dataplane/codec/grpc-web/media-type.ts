/** The content types of gRPC-Web: `application/grpc-web`, and `-text` for bodies in base64, perhaps with a format. */
import { H, type HeaderList, listElements } from '../../../message/index.ts';

export interface WebType {
  /** The body is base64. */
  readonly text: boolean;
  /** What follows: `+proto`, `+json`, parameters; empty: nothing. */
  readonly suffix: string;
}

const WEB = 'application/grpc-web';
const TEXT = '-text';
const GRPC = 'application/grpc';

/** Null: another type. */
export function webTypeOf(type: string): WebType | null {
  const lower = type.toLowerCase();
  if (!lower.startsWith(WEB)) return null;
  const text = lower.startsWith(TEXT, WEB.length);
  const suffix = lower.slice(WEB.length + (text ? TEXT.length : 0)).trimStart();
  return suffix === '' || suffix[0] === '+' || suffix[0] === ';' ? { text, suffix } : null;
}

/** The type that an answer should have: the first of gRPC-Web's that Accept names, else the request's own. */
export function answerTypeOf(headers: HeaderList, asked: WebType): WebType {
  for (const element of listElements(headers.getAll(H.accept) ?? '')) {
    const type = webTypeOf(element);
    if (type !== null) return type;
  }
  return asked;
}

/** The same format as gRPC calls it. */
export function toGrpc({ suffix }: WebType): string {
  return GRPC + suffix;
}

/** gRPC's content type as `wanted` has it; the format is the answer's where it names one. */
export function toWeb(grpcType: string, wanted: WebType): string {
  const suffix = grpcType.slice(GRPC.length);
  return `${WEB}${wanted.text ? TEXT : ''}${suffix === '' ? wanted.suffix : suffix}`;
}
