/**
 * Istio's request metrics of one service: `istio_requests_total` and the three histograms share a block of
 * cells per label set. What varies per request is caller, status, gRPC status, flags and whether mTLS was used;
 * the block is found through a map by caller, an array by status and a list of one or two, and most often
 * by comparing with the one used last. No label text is built here but for a new series.
 */
import type { WorkerCells } from '../ledger/index.ts';
import { DISCARD } from './cells.ts';
import { type BlockKind, REQUEST_CELL } from './families.ts';
import { observe } from './histogram.ts';
import type { RequestRecord } from './record.ts';

/** Where series get their cells; `WorkerMetrics` is the one. */
export interface SeriesSource {
  readonly cells: WorkerCells;
  block(kind: BlockKind, labels: Readonly<Record<string, string>>, owner: string): number;
  announceBlock(kind: BlockKind, base: number, labels: Readonly<Record<string, string>>, owner: string): void;
  releaseBlock(kind: BlockKind, base: number): void;
  countOverflow(): void;
}

interface Series {
  readonly base: number;
  readonly status: number;
  /** -1: a gRPC call that had none; NOT_GRPC: any other request. */
  readonly grpcStatus: number;
  readonly flags: string;
  readonly isMutual: boolean;
  /** URI SAN of the caller's certificate; empty: none. */
  readonly principal: string;
}

const NOT_GRPC = -2;

export class RequestSeries {
  private readonly source: SeriesSource;
  private readonly labels: Readonly<Record<string, string>>;
  private readonly owner: string;
  private readonly anonymous: Series[][] = [];
  private readonly byPrincipal = new Map<string, Series[][]>();
  private last: Series | null = null;

  /** `labels`: those that all series share. */
  constructor(source: SeriesSource, labels: Readonly<Record<string, string>>, owner: string) {
    this.source = source;
    this.labels = labels;
    this.owner = owner;
  }

  /** Counts an ended request. */
  count(record: RequestRecord, flags: string): void {
    const series = this.find(record, flags);
    if (series.base === DISCARD) {
      this.source.countOverflow();
      return;
    }
    const { cells } = this.source;
    cells.add(series.base + REQUEST_CELL.total, 1);
    observe(cells, series.base + REQUEST_CELL.duration, record.endMs - record.startMs);
    observe(cells, series.base + REQUEST_CELL.requestBytes, record.requestBytes);
    observe(cells, series.base + REQUEST_CELL.responseBytes, record.responseBytes);
  }

  /** Announces every series again: the supervisor may have dropped them. */
  announceAll(): void {
    this.forEach((series) => {
      this.source.announceBlock('request', series.base, this.labelsOf(series), this.owner);
    });
  }

  /** Gives all cells back. */
  release(): void {
    this.forEach((series) => {
      this.source.releaseBlock('request', series.base);
    });
    this.anonymous.length = 0;
    this.byPrincipal.clear();
    this.last = null;
  }

  private find(record: RequestRecord, flags: string): Series {
    const peer = record.facts.tls === null ? null : record.facts.tls.peer;
    const principal = peer === null || peer.uriSans.length === 0 ? '' : peer.uriSans[0];
    const { status } = record;
    const grpcStatus = record.grpc ? record.grpcStatus : NOT_GRPC;
    const { last } = this;
    if (
      last !== null &&
      isSame(last, status, grpcStatus, flags, peer !== null) &&
      last.principal === principal
    )
      return last;
    const byStatus = principal === '' ? this.anonymous : this.tableOf(principal);
    const candidates = byStatus[status];
    if (candidates !== undefined) {
      for (let i = 0; i < candidates.length; i++) {
        if (!isSame(candidates[i], status, grpcStatus, flags, peer !== null)) continue;
        this.last = candidates[i];
        return candidates[i];
      }
    }
    const isMutual = peer !== null;
    return this.make(byStatus, { base: DISCARD, status, grpcStatus, flags, isMutual, principal });
  }

  /** One that finds no cells is not kept, so that the limit bounds these tables too. */
  private make(byStatus: Series[][], wanted: Series): Series {
    const base = this.source.block('request', this.labelsOf(wanted), this.owner);
    if (base === DISCARD) return wanted;
    const series = { ...wanted, base };
    const candidates = byStatus[wanted.status];
    if (candidates === undefined) byStatus[wanted.status] = [series];
    else candidates.push(series);
    if (wanted.principal !== '') this.byPrincipal.set(wanted.principal, byStatus);
    this.last = series;
    return series;
  }

  private tableOf(principal: string): Series[][] {
    return this.byPrincipal.get(principal) ?? [];
  }

  private labelsOf(series: Series): Record<string, string> {
    return {
      reporter: 'source',
      source_principal: series.principal === '' ? 'unknown' : series.principal,
      ...this.labels,
      request_protocol: series.grpcStatus === NOT_GRPC ? 'http' : 'grpc',
      response_code: String(series.status),
      grpc_response_status: series.grpcStatus < 0 ? '' : String(series.grpcStatus),
      response_flags: series.flags,
      connection_security_policy: series.isMutual ? 'mutual_tls' : 'none',
    };
  }

  private forEach(visit: (series: Series) => void): void {
    for (const byStatus of [this.anonymous, ...this.byPrincipal.values()]) {
      for (const candidates of byStatus) candidates?.forEach(visit);
    }
  }
}

/**
 * The labels that say where a request went. A Kubernetes host name (`cart.shop.svc.cluster.local`) is taken
 * apart as Istio does; any other name is service and name at once.
 */
export function istioLabelsOf(service: string): Readonly<Record<string, string>> {
  const parts = service.split('.');
  const isKubernetes = parts.length >= 3 && parts[2] === 'svc';
  const namespace = isKubernetes ? parts[1] : 'unknown';
  return {
    source_workload: 'unknown',
    source_workload_namespace: 'unknown',
    destination_service: service,
    destination_service_name: isKubernetes ? parts[0] : service,
    destination_service_namespace: namespace,
    destination_workload: 'unknown',
    destination_workload_namespace: namespace,
    destination_principal: 'unknown',
  };
}

function isSame(
  series: Series,
  status: number,
  grpcStatus: number,
  flags: string,
  isMutual: boolean,
): boolean {
  return (
    series.status === status &&
    series.grpcStatus === grpcStatus &&
    series.flags === flags &&
    series.isMutual === isMutual
  );
}
