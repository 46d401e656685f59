/**
 * Loads one file again and again, at the cost of what changed in it. A member of `routes` or `services`
 * whose text is that of the last load keeps its draft, the same object, so that whoever comes after can
 * keep what belongs to it too. Only what is free of errors is loaded this way, and the drafts are those
 * that `loadConfig` makes; everything else is left to it, which finds all faults at once.
 */
import { dirname, resolve } from 'node:path';
import { LineCounter } from 'yaml';
import { LIMITS } from '../../base/index.ts';
import type { ServiceDraft } from '../draft.ts';
import type { RouteConfig } from '../route-config.ts';
import { checkLocalityNeeds, type LocalityNeeds, localityNeeds } from './check-balancer.ts';
import { checkL4Routes } from './check-l4-route.ts';
import { checkNode } from './check-node.ts';
import { checkRoute } from './check-route.ts';
import { checkService } from './check-service.ts';
import type { CheckContext, FaultSpec } from './context.ts';
import type { Place } from './failover-priority.ts';
import { type Fault, pathText } from './fault.ts';
import {
  fileReadable,
  inOrder,
  type LoadOptions,
  type LoadResult,
  loadConfig,
  onceEach,
  processorsOf,
} from './load.ts';
import { type MemberSource, measure, NotByMembers, readMember, shapeMember } from './member.ts';
import { routeSchema } from './route-schema.ts';
import { type ConfigFields, configSchema } from './schema.ts';
import { type ServiceFields, serviceSchema } from './service-schema.ts';
import type { MemberList, Slice } from './slice.ts';
import { decode, placeOfOffset, readSource } from './source-text.ts';
import { offsetInText, type SplitText, splitText } from './split.ts';
import { carriesHttp, factsOf, RouteTargets, type ServiceFacts } from './targets.ts';
import { gatherSecrets, listenerDraft, nodeSettings, Secrets, serviceDraft } from './to-draft.ts';
import { l4RouteDrafts, routeDraft } from './to-draft-route.ts';

interface KnownRoute {
  readonly listeners: readonly string[];
  readonly services: readonly string[];
  /** Service and subset. */
  readonly subsets: readonly (readonly [string, string])[];
  /** Services of which it needs HTTP/2. */
  readonly http2: readonly string[];
  readonly draft: RouteConfig;
  readonly nodes: number;
}

interface KnownService {
  readonly facts: ServiceFacts;
  readonly endpoints: number;
  /** Null without TLS; the files that it names are looked for with every load. */
  readonly tls: ServiceFields | null;
  readonly needs: LocalityNeeds | null;
  readonly draft: ServiceDraft;
  readonly nodes: number;
}

/** Of the last load, by the text of each member. */
interface Known {
  readonly routes: ReadonlyMap<string, KnownRoute>;
  readonly services: ReadonlyMap<string, KnownService>;
  readonly unbudgeted: ReadonlySet<string>;
  /** Where the node was, as one text: localities and labels of a service may mean something else elsewhere. */
  readonly place: string;
}

const NOTHING: Known = { routes: new Map(), services: new Map(), unbudgeted: new Set(), place: '' };

export class ConfigLoader {
  private readonly file: string;
  private readonly options: LoadOptions;
  private readonly resolvePath: (path: string) => string;
  private known = NOTHING;

  constructor(file: string, options: LoadOptions = {}) {
    const directory = resolve(options.directory ?? dirname(file));
    this.file = file;
    this.options = options;
    this.resolvePath = (path) => resolve(directory, path);
  }

  /** The same as `loadConfig`. */
  load(content: string | Uint8Array): LoadResult {
    const text = decode(content);
    const split = typeof text === 'string' ? splitText(text) : null;
    if (split !== null) {
      try {
        const load = new LoadByMembers(split, this.known, this.file, this.options, this.resolvePath);
        const result = load.run();
        this.known = load.learned();
        return result;
      } catch (error) {
        if (!(error instanceof NotByMembers)) throw error;
      }
    }
    return loadConfig(content, this.file, this.options);
  }
}

class LoadByMembers {
  private readonly found = {
    routes: new Map<string, KnownRoute>(),
    services: new Map<string, KnownService>(),
  };
  private readonly split: SplitText;
  private readonly known: Known;
  private readonly file: string;
  private readonly options: LoadOptions;
  private readonly resolvePath: (path: string) => string;
  private readonly readable: (path: string) => boolean;
  private readonly warnings: Fault[] = [];
  private readonly listenerNames = new Set<string>();
  private readonly serviceNames = new Set<string>();
  private readonly routeNames = new Set<string>();
  private readonly withTls: ServiceFields[] = [];
  private readonly needs: LocalityNeeds[] = [];
  private targets = new RouteTargets([]);
  private place = '';
  private lines: LineCounter | null = null;
  private nodes = 0;

  constructor(
    split: SplitText,
    known: Known,
    file: string,
    options: LoadOptions,
    resolvePath: (path: string) => string,
  ) {
    this.split = split;
    this.known = known;
    this.file = file;
    this.options = options;
    this.resolvePath = resolvePath;
    this.readable = onceEach(options.fileReadable ?? fileReadable);
  }

  run(): LoadResult {
    const rest = readSource(this.split.rest, (offset) => this.placeAt(offsetInText(this.split, offset)));
    if (rest.complaints.length > 0) throw new NotByMembers();
    const config = this.shapeRest(rest.data);
    for (const { name } of config.listeners) once(this.listenerNames, name);
    for (const routes of [config.tlsRoutes, config.tcpRoutes]) {
      const names = new Set<string>();
      for (const { name } of routes) once(names, name);
    }
    this.targets = new RouteTargets(config.listeners);
    const secrets = new Secrets(this.resolvePath);
    const listeners = config.listeners.map((listener) => listenerDraft(listener, secrets));
    const services = this.services(config, secrets);
    const routes = this.routes();
    const whole: MemberSource = { data: rest.data, source: () => rest, prefix: [] };
    checkNode({ ...config, services: this.withTls }, this.contextOf(whole, 0));
    checkL4Routes(config, this.targets, this.contextOf(whole, 0));
    for (const needs of this.needs) checkLocalityNeeds(needs, config, this.contextOf(whole, 0));
    // Half of it, because aliases count twice there.
    if (this.nodes > LIMITS.configNodes / 2) throw new NotByMembers();
    const node = nodeSettings(config, this.resolvePath, processorsOf(this.options));
    const l4 = l4RouteDrafts(config);
    const draft = { node, listeners, routes, ...l4, services, secrets: secrets.files() };
    return { ok: true, draft, warnings: inOrder(this.warnings) };
  }

  learned(): Known {
    return { ...this.found, unbudgeted: this.targets.unbudgeted, place: this.place };
  }

  /** The rest is checked with its lists empty; a list that could not be split is not read here. */
  private shapeRest(data: unknown): ConfigFields {
    this.nodes += measure(data, 1).nodes;
    const fields = { ...(data as Record<string, unknown>) };
    for (const list of this.split.members.keys()) {
      const left = fields[list];
      const taken = this.split.format === 'json' ? Array.isArray(left) && left.length === 0 : left === null;
      if (!taken) throw new NotByMembers();
      delete fields[list];
    }
    const config = shapeMember(configSchema, fields);
    if (config.routes.length > 0 || config.services.length > 0) throw new NotByMembers();
    return config;
  }

  private services(node: Place, secrets: Secrets): ServiceDraft[] {
    let endpoints = 0;
    this.place = JSON.stringify([node.locality, node.labels]);
    const moved = this.place !== this.known.place;
    const drafts = this.slices('services').map((slice, i) => {
      const text = this.textOf(slice);
      const last = this.known.services.get(text);
      const known = moved && last?.needs ? undefined : last;
      const service = known ?? this.newService(text, slice, i, node, secrets);
      if (known?.tls) {
        checkService(known.tls, ['services', i], this.contextOf(this.read(text, slice), 2));
        gatherSecrets(known.tls, secrets);
      }
      if (known) this.found.services.set(text, known);
      once(this.serviceNames, service.facts.name);
      this.targets.add(service.facts);
      if (service.tls) this.withTls.push(service.tls);
      if (service.needs) this.needs.push(service.needs);
      endpoints += service.endpoints;
      this.nodes += service.nodes;
      return service.draft;
    });
    if (drafts.length > LIMITS.services || endpoints > LIMITS.endpoints) throw new NotByMembers();
    return drafts;
  }

  private newService(text: string, slice: Slice, i: number, node: Place, secrets: Secrets): KnownService {
    const source = this.read(text, slice);
    const fields = shapeMember(serviceSchema, source.data);
    const warnings = this.warnings.length;
    checkService(fields, ['services', i], this.contextOf(source, 2));
    const service = {
      facts: factsOf(fields),
      endpoints: fields.endpoints?.length ?? 0,
      tls: fields.tls === undefined ? null : fields,
      needs: localityNeeds(fields, ['services', i]),
      draft: serviceDraft(fields, node, secrets),
      nodes: measure(source.data, MEMBER_DEPTH).nodes,
    };
    // One with a warning is read with every load, because its place may be another.
    if (this.warnings.length === warnings) this.found.services.set(text, service);
    return service;
  }

  private routes(): RouteConfig[] {
    const { unbudgeted, tcp, http1 } = this.targets;
    const l4 = new Set(
      [...this.targets.listeners.values()].flatMap((at) => (carriesHttp(at) ? [] : at.name)),
    );
    // A route is warned of services whose budget is off: one more, and each is looked at again.
    const more = [...unbudgeted].some((name) => !this.known.unbudgeted.has(name));
    const known = more ? NOTHING.routes : this.known.routes;
    const slices = this.slices('routes');
    if (slices.length === 0 || slices.length > LIMITS.routes) throw new NotByMembers();
    return slices.map((slice, i) => {
      const text = this.textOf(slice);
      let route = known.get(text);
      if (route === undefined) route = this.newRoute(text, slice, i);
      else {
        this.found.routes.set(text, route);
        allIn(route.listeners, this.listenerNames);
        allIn(route.services, this.serviceNames);
        noneIn(route.listeners, l4);
        noneIn(route.services, tcp);
        for (const [service, subset] of route.subsets)
          allIn([subset], new Set(this.targets.subsets.get(service)));
        allIn(route.http2, this.serviceNames);
        noneIn(route.http2, http1);
      }
      once(this.routeNames, route.draft.name);
      this.nodes += route.nodes;
      return route.draft;
    });
  }

  private newRoute(text: string, slice: Slice, i: number): KnownRoute {
    const source = this.read(text, slice);
    const fields = shapeMember(routeSchema, source.data);
    const warnings = this.warnings.length;
    checkRoute(fields, ['routes', i], this.targets, this.contextOf(source, 2));
    const draft = routeDraft(fields);
    const route = {
      listeners: draft.listeners,
      services: draft.rules.flatMap(({ backends, filters }) => [
        ...backends.map(({ service }) => service),
        ...filters.flatMap((filter) => (filter.type === 'RequestMirror' ? filter.service : [])),
      ]),
      subsets: draft.rules.flatMap(({ backends }) =>
        backends.flatMap(({ service, subset }) => (subset === null ? [] : [[service, subset] as const])),
      ),
      http2: draft.rules.flatMap(({ globalRateLimit }) => globalRateLimit?.service ?? []),
      draft,
      nodes: measure(source.data, MEMBER_DEPTH).nodes,
    };
    if (this.warnings.length === warnings) this.found.routes.set(text, route);
    return route;
  }

  private slices(list: MemberList): readonly Slice[] {
    return this.split.members.get(list) ?? [];
  }

  private textOf({ start, end }: Slice): string {
    return this.split.text.slice(start, end);
  }

  private read(text: string, { start }: Slice): MemberSource {
    return readMember(this.split.format, text, (offset) => this.placeAt(start + offset));
  }

  /** `depth`: parts of a path that lead to the member. */
  private contextOf(member: MemberSource, depth: number): CheckContext {
    const fault = (spec: FaultSpec): void => {
      if (spec.severity !== 'warning') throw new NotByMembers();
      const { line, column, found } = member.source().placeOf([...member.prefix, ...spec.path.slice(depth)]);
      this.warnings.push({
        severity: 'warning',
        file: this.file,
        line,
        column,
        path: pathText(spec.path),
        expected: spec.expected,
        found: spec.found ?? found,
        cure: spec.cure ?? null,
      });
    };
    return {
      fault,
      faultIfWhole: fault,
      whole: () => true,
      lineOf: () => 0,
      listenerNames: this.listenerNames,
      serviceNames: this.serviceNames,
      resolvePath: this.resolvePath,
      readable: this.readable,
    };
  }

  private placeAt(offset: number): { readonly line: number; readonly column: number } {
    this.lines ??= linesOf(this.split.text);
    return placeOfOffset(this.lines, offset);
  }
}

function once(names: Set<string>, name: string): void {
  if (names.has(name)) throw new NotByMembers();
  names.add(name);
}

function allIn(names: readonly string[], known: ReadonlySet<string>): void {
  for (const name of names) if (!known.has(name)) throw new NotByMembers();
}

function noneIn(names: readonly string[], unfit: ReadonlySet<string>): void {
  if (unfit.size > 0) for (const name of names) if (unfit.has(name)) throw new NotByMembers();
}

function linesOf(text: string): LineCounter {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
  return lines;
}

/** Depth of a member in its document: the root, the list, the member. */
const MEMBER_DEPTH = 3;
