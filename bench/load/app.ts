/**
 * An application that works for its answer: about a fifth of a millisecond of JSON per request, so that what a sidecar
 * beside it takes from its core is seen in its own throughput. Argument: PORT.
 */
import { createServer } from 'node:http';

const items = Array.from({ length: 120 }, (_, id) => ({
  id,
  name: `product ${id}`,
  price: id * 1.25,
  stock: id % 7,
}));

createServer({ keepAlive: true, keepAliveTimeout: 3_600_000 }, (_request, response) => {
  let body = '';
  for (let i = 0; i < 4; i++) body = JSON.stringify(JSON.parse(JSON.stringify(items)));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}).listen(Number(process.argv[2]), '127.0.0.1');
