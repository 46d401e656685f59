/**
 * Which addresses the listeners may have. Workers listen with SO_REUSEPORT, and the kernel lets every process
 * of the same user join such a group without a word: half the connections would silently go to whoever
 * else is there. So each new address is tried first with an exclusive bind, which fails when anybody
 * listens. Port 0 becomes a real port here, because all workers must share one; it stays the same over
 * reloads, and until the workers listen a socket of ours holds it.
 */
import { createServer, isIPv6, type Server } from 'node:net';
import type { ListenFault } from '../channel/index.ts';
import type { ListenerConfig } from '../config/index.ts';

export interface AddressClaim {
  /** The listeners with every port 0 replaced. */
  readonly listeners: readonly ListenerConfig[];
  /** Addresses that can't be had; when not empty, nothing is held. */
  readonly faults: readonly ListenFault[];
  /** The workers listen: these addresses are ours from now on. */
  commit(): Promise<void>;
  /** The listeners will not be used. */
  abandon(): Promise<void>;
}

export class Addresses {
  /** Listeners in force. */
  private owned: readonly ListenerConfig[] = [];
  /** Real ports given to listeners that ask for port 0, by name and host. */
  private ports = new Map<string, number>();

  async claim(wanted: readonly ListenerConfig[]): Promise<AddressClaim> {
    const before = new Map(this.ports);
    const holders: Server[] = [];
    const faults: ListenFault[] = [];
    const listeners: ListenerConfig[] = [];
    for (const listener of wanted) {
      try {
        listeners.push(await this.claimOne(listener, holders));
      } catch (error) {
        faults.push(faultOf(listener, error as NodeJS.ErrnoException));
      }
    }
    if (faults.length > 0) {
      this.ports = before;
      await closeAll(holders);
    }
    return {
      listeners,
      faults,
      commit: async () => {
        this.owned = listeners;
        const keys = new Set(wanted.map(portKey));
        for (const key of this.ports.keys()) if (!keys.has(key)) this.ports.delete(key);
        await closeAll(holders);
      },
      abandon: () => {
        this.ports = before;
        return closeAll(holders);
      },
    };
  }

  private async claimOne(listener: ListenerConfig, holders: Server[]): Promise<ListenerConfig> {
    if (listener.port === 0) return this.claimAnyPort(listener, holders);
    const { host, port } = listener;
    if (this.owned.some((own) => own.port === port && own.host === host)) return listener;
    // A move between `0.0.0.0:80` and `127.0.0.1:80` meets our own workers, whom only SO_REUSEPORT lets us join.
    const reusePort = this.owned.some((own) => own.port === port && overlaps(own.host, host));
    await closeServer(await bind(host, port, reusePort));
    return listener;
  }

  private async claimAnyPort(listener: ListenerConfig, holders: Server[]): Promise<ListenerConfig> {
    const key = portKey(listener);
    let port = this.ports.get(key);
    if (port === undefined) {
      const holder = await bind(listener.host, 0, true);
      holders.push(holder);
      port = (holder.address() as { port: number }).port;
      this.ports.set(key, port);
    }
    return { ...listener, port };
  }
}

function portKey({ name, host }: ListenerConfig): string {
  return `${name} ${host}`;
}

function bind(host: string, port: number, reusePort: boolean): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen({ host, port, reusePort, exclusive: true }, () => resolve(server));
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

async function closeAll(servers: Server[]): Promise<void> {
  await Promise.all(servers.splice(0).map(closeServer));
}

function overlaps(a: string, b: string): boolean {
  return isWildcard(a) || isWildcard(b) || a === b;
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function faultOf({ name, host, port }: ListenerConfig, error: NodeJS.ErrnoException): ListenFault {
  const code = error.code ?? 'UNKNOWN';
  const at = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
  return {
    listener: name,
    code,
    message: `listener ${name}: cannot listen on ${at} (${code}); ${cureOf(code, port)}`,
  };
}

function cureOf(code: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return `another process listens there (\`ss -ltnp 'sport = :${port}'\` names it): stop it, or change the listener's address`;
    case 'EACCES':
      return 'ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE: grant it, or choose a higher port';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address: choose one it has (`ip address` lists them)';
    default:
      return "change the listener's address";
  }
}
