/** What is said of a `callers` section that can't be meant. */
import { type FaultCase, tellsFaults } from './fault-cases.ts';

const REST = `
listeners: [{ name: web, address: ":80" }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: s }] }] }]
services: [{ name: s, endpoints: [{ address: 127.0.0.1:9001 }] }]
`;

const CASES: readonly FaultCase[] = [
  {
    name: 'a turn that is no turn',
    yaml: `callers: { turn: ¦2s }${REST}`,
    faults: [['callers.turn', 'a duration', 'write 1000ms or less']],
  },
  {
    name: 'limits that are no numbers, and offences that are neither off nor a mapping',
    yaml: `callers:\n  maxConnections: ¦-1\n  maxRequests: ¦"5"\n  offences: { burst: ¦0, penalty: ¦10 }${REST}`,
    faults: [
      ['maxConnections', 'a whole number from 0', 'write 0 or more'],
      ['maxRequests', 'a whole number from 0', 'remove the quotes: 5'],
      ['offences.burst', 'a whole number from 1', 'write 1 or more'],
      ['offences.penalty', 'a duration', 'add a unit'],
    ],
  },
  {
    name: 'a prefix as long as none',
    yaml: `callers: { ipv6PrefixLength: ¦129 }${REST}`,
    faults: [['ipv6PrefixLength', '32 to 128', 'write 128 or less']],
  },
];

tellsFaults(CASES);
