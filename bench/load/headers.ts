/** The nine headers of wrk.lua for the other load generators. Host is set by each in its own way. */
export const REQUEST_HEADERS: readonly (readonly [string, string])[] = [
  [
    'User-Agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  ],
  ['Accept', 'application/json, text/plain, */*'],
  ['Accept-Encoding', 'gzip, deflate, br'],
  ['Accept-Language', 'en-GB,en;q=0.9,de;q=0.7'],
  [
    'Authorization',
    'Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjYXJ0Iiwic2NvcGUiOiJyZWFkIn0.MEUCIQDx7zLqv2vYy1Cq',
  ],
  ['Cookie', 'session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=1'],
  ['Referer', 'https://shop.bench.example/cart/checkout?step=2'],
  ['Cache-Control', 'no-cache'],
];

export const hostOf = (service: number): string => `svc-${service}.bench.example`;
