/** The first lines of a request's record: what its head says. */
import { type ConnectionFacts, H, HeaderList, isGrpc, type RequestHead } from '../../message/index.ts';
import type { Recorder, RequestRecord } from '../../telemetry/index.ts';

/** Also settles the request id and the trace that the request belongs to. */
export function beginRecord(recorder: Recorder, facts: ConnectionFacts, head: RequestHead): RequestRecord {
  const record = recorder.begin(facts);
  const { headers } = head;
  record.method = head.method;
  record.target = head.target;
  record.authority = head.authority;
  record.userAgent = headers.get(H['user-agent']) ?? '';
  record.protocol = PROTOCOLS[head.version];
  record.grpc = isGrpc(headers);
  record.requestId = recorder.ensureRequestId(headers);
  record.trace = recorder.readTrace(headers);
  return record;
}

/** The record of a request whose head could not be read. */
export function beginUnreadable(recorder: Recorder, facts: ConnectionFacts): RequestRecord {
  const record = recorder.begin(facts);
  record.requestId = recorder.ensureRequestId(HeaderList.empty());
  return record;
}

const PROTOCOLS = { '1.0': 'HTTP/1.0', '1.1': 'HTTP/1.1', '2': 'HTTP/2' } as const;
