/** `outboard doctor`: what of this machine the proxy depends on, and what to change. */
import { readFile } from 'node:fs/promises';

interface Finding {
  readonly verdict: 'ok' | 'warning' | 'error';
  readonly what: string;
  readonly cure: string;
}

const NODE_MIN = [22, 15] as const;
/** Two per proxied connection, for the limits of a default configuration and some room. */
const FILES_MIN = 65_536;
const BACKLOG_MIN = 511;

/** The exit code: 0, or 1 when something makes the proxy fail. */
export async function doctor(print: (line: string) => void): Promise<number> {
  const findings = [node(), await openFiles(), await migrateRequests(), await backlog(), await lowPorts()];
  for (const { verdict, what, cure } of findings) {
    print(`${verdict.padEnd(8)} ${what}${verdict === 'ok' ? '' : `\n         cure: ${cure}`}`);
  }
  return findings.some(({ verdict }) => verdict === 'error') ? 1 : 0;
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isNew = major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
  return {
    verdict: isNew ? 'ok' : 'error',
    what: `Node ${process.versions.node}, at least ${NODE_MIN.join('.')} is needed`,
    cure: 'install a newer Node',
  };
}

async function openFiles(): Promise<Finding> {
  const limits = await read('/proc/self/limits');
  const text = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
  return {
    verdict: text === 'unlimited' || Number(text) >= FILES_MIN ? 'ok' : 'warning',
    what: `at most ${text} open files; a proxied request uses two`,
    cure: `allow ${FILES_MIN}: LimitNOFILE= in systemd, ulimits in Docker, or ulimit -n`,
  };
}

async function migrateRequests(): Promise<Finding> {
  const value = (await read('/proc/sys/net/ipv4/tcp_migrate_req')).trim();
  return {
    verdict: value === '1' || value === '' ? 'ok' : 'warning',
    what: `net.ipv4.tcp_migrate_req is ${value === '' ? 'unknown here' : value}`,
    cure: 'sysctl -w net.ipv4.tcp_migrate_req=1, or connections that wait to be accepted are reset when a worker restarts',
  };
}

async function backlog(): Promise<Finding> {
  const value = (await read('/proc/sys/net/core/somaxconn')).trim();
  return {
    verdict: value === '' || Number(value) >= BACKLOG_MIN ? 'ok' : 'warning',
    what: `net.core.somaxconn is ${value === '' ? 'unknown here' : value}`,
    cure: `sysctl -w net.core.somaxconn=4096, or bursts of more than ${value} new connections are refused`,
  };
}

async function lowPorts(): Promise<Finding> {
  const value = (await read('/proc/sys/net/ipv4/ip_unprivileged_port_start')).trim();
  const isRoot = process.getuid?.() === 0;
  return {
    verdict: 'ok',
    what: isRoot || value === '' ? 'may listen on every port' : `may listen on ports from ${value} on`,
    cure: '',
  };
}

/** Empty where there is no such file: another system than Linux. */
async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
