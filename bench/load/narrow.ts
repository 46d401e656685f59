/**
 * A service with room for so many requests at a time, each of which takes so long; what is beyond waits its turn, for ever.
 * It does not notice that a client has left: that is how a queue outlives the load that made it. `/` tells that it is there.
 * Arguments: PORT PLACES MILLISECONDS.
 */
import { createServer, type ServerResponse } from 'node:http';

const [port = 0, places = 1, ms = 10] = process.argv.slice(2).map(Number);
const waiting: ServerResponse[] = [];
let taken = 0;

function work(response: ServerResponse): void {
  taken++;
  setTimeout(() => {
    taken--;
    response.end('x'.repeat(64));
    const next = waiting.shift();
    if (next !== undefined) work(next);
  }, ms);
}

createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
  if (request.url === '/') response.end();
  else if (taken < places) work(response);
  else waiting.push(response);
}).listen({ port, host: '127.0.0.1', backlog: 4_096 });
