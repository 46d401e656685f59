/** Frames in hexadecimal and what a reader makes of them (RFC 9113 section 6). */
import type { FrameCase } from './replay-frames.ts';

/** Empty SETTINGS, which come first on every connection. */
export const S = '000000 04 00 00000000 ';
const OK = 'settings';

export const DATA: readonly FrameCase[] = [
  ['a payload', `${S}000003 00 00 00000001 616263`, OK, 'data 1 flow 3', 'data end 1 616263'],
  ['the last one', `${S}000001 00 01 00000001 61`, OK, 'data 1 flow 1 ends', 'data end 1 61 ends'],
  ['an empty one', `${S}000000 00 01 00000003`, OK, 'data 3 flow 0 ends', 'data end 3 ends'],
  ['padding', `${S}000004 00 08 00000001 02 61 0000`, OK, 'data 1 flow 4', 'data end 1 61'],
  ['padding of 0', `${S}000002 00 08 00000001 00 61`, OK, 'data 1 flow 2', 'data end 1 61'],
  ['padding alone', `${S}000003 00 09 00000001 02 0000`, OK, 'data 1 flow 3 ends', 'data end 1 ends'],
  ['a padding length alone', `${S}000001 00 08 00000001 00`, OK, 'data 1 flow 1', 'data end 1'],
  [
    'more padding than payload',
    `${S}000002 00 08 00000001 02 61`,
    OK,
    'data 1 flow 2',
    'PROTOCOL_ERROR: more padding than payload',
  ],
  [
    'no room for the padding length',
    `${S}000000 00 08 00000001`,
    OK,
    'FRAME_SIZE_ERROR: no room for the padding length',
  ],
  ['stream 0', `${S}000000 00 00 00000000`, OK, 'PROTOCOL_ERROR: DATA on stream 0'],
  ['the reserved bit', `${S}000000 00 00 80000001`, OK, 'data 1 flow 0', 'data end 1'],
  ['unknown flags', `${S}000001 00 f6 00000001 61`, OK, 'data 1 flow 1', 'data end 1 61'],
  ['too long', `${S}004001 00 00 00000001`, OK, 'FRAME_SIZE_ERROR: a frame of 16385 bytes'],
  ['cut off in the payload', `${S}000003 00 00 00000001 6162`, OK, 'data 1 flow 3', 'cut off'],
  ['cut off in the header', `${S}000003 00 00`, OK, 'cut off'],
];

export const HEADERS: readonly FrameCase[] = [
  ['a block', `${S}000002 01 05 00000001 8286`, OK, 'headers 1 8286 ends'],
  ['an empty block', `${S}000000 01 04 00000001`, OK, 'headers 1 '],
  ['padding', `${S}000005 01 0c 00000001 03 82 000000`, OK, 'headers 1 82'],
  ['a priority', `${S}000006 01 24 00000003 80000001 10 82`, OK, 'headers 3 82'],
  ['both', `${S}000008 01 2c 00000003 01 00000000 10 82 00`, OK, 'headers 3 82'],
  [
    'a stream that depends on itself',
    `${S}000006 01 24 00000003 00000003 10 82`,
    OK,
    'headers 3 82 PROTOCOL_ERROR: a stream that depends on itself',
  ],
  [
    'more padding than payload',
    `${S}000003 01 0c 00000001 03 8286`,
    OK,
    'PROTOCOL_ERROR: HEADERS too short for its padding or priority',
  ],
  [
    'padding that takes from the priority',
    `${S}000007 01 2c 00000003 02 00000000 1082`,
    OK,
    'PROTOCOL_ERROR: HEADERS too short for its padding or priority',
  ],
  [
    'a priority cut short',
    `${S}000004 01 24 00000003 00000000`,
    OK,
    'FRAME_SIZE_ERROR: HEADERS too short for its padding or priority',
  ],
  ['stream 0', `${S}000001 01 04 00000000 82`, OK, 'PROTOCOL_ERROR: HEADERS on stream 0'],
  [
    'continued',
    `${S}000001 01 01 00000001 82 000001 09 00 00000001 86 000001 09 04 00000001 84`,
    OK,
    'headers 1 828684 ends',
  ],
  ['continued by nothing', `${S}000001 01 00 00000001 82 000000 09 04 00000001`, OK, 'headers 1 82'],
  ['not continued', `${S}000001 01 00 00000001 82`, OK, 'cut off'],
  [
    'interrupted',
    `${S}000001 01 00 00000001 82 000000 00 00 00000001`,
    OK,
    'PROTOCOL_ERROR: a frame inside a header block',
  ],
  [
    'interrupted by an unknown frame',
    `${S}000001 01 00 00000001 82 000000 77 00 00000001`,
    OK,
    'PROTOCOL_ERROR: a frame inside a header block',
  ],
  [
    'continued on another stream',
    `${S}000001 01 00 00000001 82 000000 09 04 00000003`,
    OK,
    'PROTOCOL_ERROR: a frame inside a header block',
  ],
  ['CONTINUATION alone', `${S}000001 09 04 00000001 82`, OK, 'PROTOCOL_ERROR: CONTINUATION without HEADERS'],
  [
    'CONTINUATION after the end',
    `${S}000001 01 04 00000001 82 000001 09 04 00000001 82`,
    OK,
    'headers 1 82',
    'PROTOCOL_ERROR: CONTINUATION without HEADERS',
  ],
  [
    'too many',
    `${S}000001 01 00 00000001 82 ${'000000 09 00 00000001 '.repeat(5)}`,
    OK,
    'ENHANCE_YOUR_CALM: more than 4 CONTINUATION',
  ],
  [
    'a block at the limit',
    `${S}000020 01 00 00000001 ${'82'.repeat(32)} 000020 09 04 00000001 ${'82'.repeat(32)}`,
    OK,
    `headers 1 ${'82'.repeat(64)}`,
  ],
  [
    'a block above it',
    `${S}000020 01 00 00000001 ${'82'.repeat(32)} 000021 09 04 00000001 ${'82'.repeat(33)}`,
    OK,
    'ENHANCE_YOUR_CALM: a header block of more than 64 bytes',
  ],
  [
    'a block above it in one frame',
    `${S}000041 01 04 00000001 ${'82'.repeat(65)}`,
    OK,
    'ENHANCE_YOUR_CALM: a header block of more than 64 bytes',
  ],
];

export const SETTINGS: readonly FrameCase[] = [
  [
    'all',
    '000030 04 00 00000000 000100001000 000200000000 000300000064 00040000ffff 000500004000 000600010000 000800000001 00ff00000001',
    'settings headerTableSize=4096 headerTableSizeLowest=4096 enablePush=0 maxConcurrentStreams=100 ' +
      'initialWindowSize=65535 maxFrameSize=16384 maxHeaderListSize=65536 enableConnectProtocol=1',
  ],
  [
    'one more than once',
    '000018 04 00 00000000 000100000064 000100000000 000100000032 000300000001',
    'settings headerTableSize=50 headerTableSizeLowest=0 maxConcurrentStreams=1',
  ],
  [
    'values of 32 bits',
    '00000c 04 00 00000000 0003ffffffff 0006ffffffff',
    'settings maxConcurrentStreams=4294967295 maxHeaderListSize=4294967295',
  ],
  ['acknowledged', `${S}000000 04 01 00000000`, OK, 'settings ack'],
  [
    'acknowledged with a payload',
    `${S}000006 04 01 00000000 000100001000`,
    OK,
    'FRAME_SIZE_ERROR: acknowledged SETTINGS with a payload',
  ],
  ['on a stream', '000000 04 00 00000001', 'PROTOCOL_ERROR: SETTINGS on stream 1'],
  ['not a multiple of 6', '000007 04 00 00000000 00010000100000', 'FRAME_SIZE_ERROR: SETTINGS of 7 bytes'],
  ['push 2', '000006 04 00 00000000 000200000002', 'PROTOCOL_ERROR: SETTINGS_ENABLE_PUSH 2'],
  [
    'a window above 2^31 - 1',
    '000006 04 00 00000000 000480000000',
    'FLOW_CONTROL_ERROR: SETTINGS_INITIAL_WINDOW_SIZE 2147483648',
  ],
  ['the largest window', '000006 04 00 00000000 00047fffffff', 'settings initialWindowSize=2147483647'],
  ['small frames', '000006 04 00 00000000 000500003fff', 'PROTOCOL_ERROR: SETTINGS_MAX_FRAME_SIZE 16383'],
  ['large frames', '000006 04 00 00000000 000501000000', 'PROTOCOL_ERROR: SETTINGS_MAX_FRAME_SIZE 16777216'],
  [
    'connect protocol 2',
    '000006 04 00 00000000 000800000002',
    'PROTOCOL_ERROR: SETTINGS_ENABLE_CONNECT_PROTOCOL 2',
  ],
  ['another frame first', '000000 00 00 00000001', 'PROTOCOL_ERROR: the first frame is not SETTINGS'],
  ['an acknowledgement first', '000000 04 01 00000000', 'PROTOCOL_ERROR: the first frame is not SETTINGS'],
  ['an unknown frame first', '000000 77 00 00000000', 'PROTOCOL_ERROR: the first frame is not SETTINGS'],
];

export const OTHERS: readonly FrameCase[] = [
  ['PRIORITY', `${S}000005 02 00 00000001 00000000 10`, OK],
  [
    'PRIORITY on stream 0',
    `${S}000005 02 00 00000000 0000000010`,
    OK,
    'PROTOCOL_ERROR: PRIORITY on stream 0',
  ],
  [
    'PRIORITY too short, and what follows',
    `${S}000004 02 00 00000001 00000000 000008 06 00 00000000 0102030405060708`,
    OK,
    'stream error 1 FRAME_SIZE_ERROR: PRIORITY of 4 bytes',
    'ping 0102030405060708',
  ],
  [
    'PRIORITY of nothing',
    `${S}000000 02 00 00000001 000000 04 01 00000000`,
    OK,
    'stream error 1 FRAME_SIZE_ERROR: PRIORITY of 0 bytes',
    'settings ack',
  ],
  ['RST_STREAM', `${S}000004 03 00 00000001 00000008`, OK, 'reset 1 CANCEL'],
  ['RST_STREAM, HTTP/1.1', `${S}000004 03 00 00000001 0000000d`, OK, 'reset 1 HTTP_1_1_REQUIRED'],
  ['RST_STREAM, unknown code', `${S}000004 03 00 00000001 ffffffff`, OK, 'reset 1 0xffffffff'],
  [
    'RST_STREAM on stream 0',
    `${S}000004 03 00 00000000 00000008`,
    OK,
    'PROTOCOL_ERROR: RST_STREAM on stream 0',
  ],
  [
    'RST_STREAM too long',
    `${S}000005 03 00 00000001 0000000800`,
    OK,
    'FRAME_SIZE_ERROR: RST_STREAM of 5 bytes',
  ],
  ['PUSH_PROMISE', `${S}000005 05 04 00000001 0000000282`, OK, 'PROTOCOL_ERROR: PUSH_PROMISE'],
  ['PING acknowledged', `${S}000008 06 01 00000000 0102030405060708`, OK, 'ping 0102030405060708 ack'],
  ['PING on a stream', `${S}000008 06 00 00000001 00`, OK, 'PROTOCOL_ERROR: PING on stream 1'],
  ['PING too short', `${S}000007 06 00 00000000 00`, OK, 'FRAME_SIZE_ERROR: PING of 7 bytes'],
  ['GOAWAY', `${S}00000a 07 00 00000000 00000005 0000000b 6869`, OK, 'goaway 5 ENHANCE_YOUR_CALM "hi"'],
  ['GOAWAY, last stream', `${S}000008 07 00 00000000 ffffffff 00000000`, OK, 'goaway 2147483647 NO_ERROR ""'],
  [
    'GOAWAY with much to say',
    `${S}000208 07 00 00000000 00000005 00000000 ${'61'.repeat(512)}`,
    OK,
    `goaway 5 NO_ERROR "${'a'.repeat(256)}"`,
  ],
  ['GOAWAY too short', `${S}000007 07 00 00000000 00`, OK, 'FRAME_SIZE_ERROR: GOAWAY of 7 bytes'],
  ['GOAWAY on a stream', `${S}000008 07 00 00000001 00`, OK, 'PROTOCOL_ERROR: GOAWAY on stream 1'],
  ['WINDOW_UPDATE', `${S}000004 08 00 00000001 7fffffff`, OK, 'window 1 2147483647'],
  ['WINDOW_UPDATE of the connection', `${S}000004 08 00 00000000 80000001`, OK, 'window 0 1'],
  [
    'WINDOW_UPDATE of 0',
    `${S}000004 08 00 00000001 00000000`,
    OK,
    'stream error 1 PROTOCOL_ERROR: a window update of 0',
  ],
  [
    'WINDOW_UPDATE of 0 for the connection',
    `${S}000004 08 00 00000000 00000000`,
    OK,
    'PROTOCOL_ERROR: a window update of 0',
  ],
  [
    'WINDOW_UPDATE too short',
    `${S}000003 08 00 00000001 00`,
    OK,
    'FRAME_SIZE_ERROR: WINDOW_UPDATE of 3 bytes',
  ],
  ['an unknown frame', `${S}000003 77 ff 00000005 616263 000000 04 01 00000000`, OK, 'settings ack'],
  ['an empty unknown frame', `${S}000000 77 00 00000000 000000 04 01 00000000`, OK, 'settings ack'],
];

const PREFACE = '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a ';
export const PREFACES: readonly FrameCase[] = [
  ['the preface', `${PREFACE}${S}`, OK],
  ['the preface alone', PREFACE],
  ['half of it', PREFACE.slice(0, 20), 'cut off'],
  ['HTTP/1.1', '474554202f20485454502f312e310d0a', 'PROTOCOL_ERROR: no HTTP/2 preface'],
  ['a wrong last byte', `${PREFACE.slice(0, 46)}0b`, 'PROTOCOL_ERROR: no HTTP/2 preface'],
];
