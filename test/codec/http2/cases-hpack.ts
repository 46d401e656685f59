/** Header blocks in hexadecimal and the fields they hold: RFC 7541 appendix C whole, and what each rule refuses. */
import type { BlockCase } from './replay.ts';

const WWW = ':authority: www.example.com';
const REQUESTS = [
  ':method: GET',
  ':scheme: http',
  WWW,
  ':path: /',
  '--',
  ':method: GET',
  ':scheme: http',
  WWW,
  ':path: /',
  'cache-control: no-cache',
  '--',
  ':method: GET',
  ':scheme: https',
  WWW,
  ':path: /index.html',
  'custom-key: custom-value',
] as const;
const ANSWERS = [
  ':status: 302',
  'cache-control: private',
  'date: Mon, 21 Oct 2013 20:13:21 GMT',
  'location: https://www.example.com',
  '--',
  ':status: 307',
  'cache-control: private',
  'date: Mon, 21 Oct 2013 20:13:21 GMT',
  'location: https://www.example.com',
  '--',
  ':status: 200',
  'cache-control: private',
  'date: Mon, 21 Oct 2013 20:13:22 GMT',
  'location: https://www.example.com',
  'content-encoding: gzip',
  'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
] as const;

export const APPENDIX_C: readonly BlockCase[] = [
  [
    'C.2.1 literal with indexing',
    '400a637573746f6d2d6b65790d637573746f6d2d686561646572 | be',
    'custom-key: custom-header',
    '--',
    'custom-key: custom-header',
  ],
  ['C.2.2 literal without indexing', '040c2f73616d706c652f70617468', ':path: /sample/path'],
  [
    'C.2.3 literal never indexed',
    '100870617373776f726406736563726574 | be',
    'password: secret',
    '--',
    'error no entry 62',
  ],
  ['C.2.4 indexed', '82', ':method: GET'],
  [
    'C.3 requests',
    `828684410f7777772e6578616d706c652e636f6d | 828684be58086e6f2d6361636865 |
     828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565`,
    ...REQUESTS,
  ],
  [
    'C.4 requests with Huffman code',
    `828684418cf1e3c2e5f23a6ba0ab90f4ff | 828684be5886a8eb10649cbf |
     828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf`,
    ...REQUESTS,
  ],
];

/** With a table of 256 bytes, so that entries are evicted. */
export const APPENDIX_C_SMALL: readonly BlockCase[] = [
  [
    'C.5 answers',
    `4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e
     1768747470733a2f2f7777772e6578616d706c652e636f6d | 4803333037c1c0bf |
     88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d
     4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b20766572
     73696f6e3d31`,
    ...ANSWERS,
  ],
  [
    'C.6 answers with Huffman code',
    `488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b
     97c8e9ae82ae43d3 | 4883640effc1c0bf |
     88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdf
     cd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007`,
    ...ANSWERS,
  ],
];

export const INDEXES: readonly BlockCase[] = [
  ['an empty block', ''],
  ['index 0', '80', 'error index 0'],
  ['the last static entry', 'bd', 'www-authenticate: '],
  ['no dynamic entry', 'be', 'error no entry 62'],
  ['a literal whose name is no entry', '7e0161', 'error no entry 62'],
  ['the second of one', '400161016b | bf', 'a: k', '--', 'error no entry 63'],
  ['an index beyond 127', 'ff8001', 'error no entry 255'],
  ['an integer of 4 bytes', 'ff80808001', 'error no entry 2097279'],
  ['an integer of 5 bytes', 'ff8080808001', 'error an integer of more than 28 bits'],
  ['an integer filled up with zeros', 'ff8080808000', 'error an integer of more than 28 bits'],
  ['an integer cut off', 'ff80', 'error the block ends in an integer'],
  ['an integer without its rest', 'ff', 'error the block ends in an integer'],
];

export const STRINGS: readonly BlockCase[] = [
  ['an empty value', '00016100', 'a: '],
  ['no value', '000161', 'error the block ends before a string'],
  ['a name cut off', '000261', 'error a string reaches beyond the block'],
  ['a value cut off', '00016102 62', 'error a string reaches beyond the block'],
  ['a length beyond the block', '0001617fffff7f', 'error a string reaches beyond the block'],
  ['an empty Huffman string', '00016180', 'a: '],
  ['Huffman padding of ones', '000161811f', 'a: a'],
  ['Huffman padding with a zero', '0001618118', 'error faulty Huffman code'],
  ['Huffman padding of 8 bits', '000161821fff', 'error faulty Huffman code'],
  ['Huffman padding alone', '00016181ff', 'error faulty Huffman code'],
  ['Huffman end of string', '00016184ffffffff', 'error faulty Huffman code'],
  ['Huffman end of string inside', '000161861fffffffff1f', 'error faulty Huffman code'],
  ['a Huffman name', '008225a9 0162', 'cut: b'],
];

export const TABLE_SIZES: readonly BlockCase[] = [
  ['an update alone', '20'],
  ['an update to the limit', '3fe11f'],
  ['an update above it', '3fe21f', 'error table size 4097 above 4096'],
  ['two updates', '203fe11f82', ':method: GET'],
  ['three updates', '20202082', 'error more than two table size updates'],
  ['an update after a field', '8220', 'error a table size update after a field'],
  ['an update to 0 empties the table', '400161016b | 203fe11f | be', 'a: k', '--', '--', 'error no entry 62'],
  [
    'an entry larger than the table empties it',
    '3f03 400161016b | 4001610162 | be',
    'a: k',
    '--',
    'a: b',
    '--',
    'a: b',
  ],
  ['an entry that does not fit', '3e400161016b | be', 'a: k', '--', 'error no entry 62'],
  [
    'a name of an entry that the new one pushes out',
    '3f03400161016b | 7e0162 | be',
    'a: k',
    '--',
    'a: b',
    '--',
    'a: b',
  ],
];

export const PSEUDO_ORDER: readonly BlockCase[] = [
  ['after a field', '0001610162 82', 'a: b', 'fault :method after a field'],
  ['twice', '8283', ':method: GET', 'fault :method twice'],
  ['twice, one of them a literal', '820203505554', ':method: GET', 'fault :method twice'],
  [':protocol', '00093a70726f746f636f6c0977656273 6f636b6574', ':protocol: websocket'],
  ['an unknown one', '00043a666f6f0162', ':foo: b', 'fault unknown pseudo-header field ":foo"'],
  ['crumbs of a cookie', '60 03613d31 0001610162 60 03623d32', 'a: b', 'cookie: a=1; b=2'],
];
