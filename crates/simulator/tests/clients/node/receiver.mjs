// A receiver of webhooks that keeps what it got, as raw bytes.
import { createServer } from 'node:http';

export async function receiver() {
  const heard = [];
  const server = createServer((request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      heard.push({ body: Buffer.concat(pieces), headers: request.headers });
      response.end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { heard, url: `http://127.0.0.1:${server.address().port}/hook`, close };
}
