// What stands before the app in Azure: TLS ends here, and what goes on is plain. And the same host without TLS, which
// notes the cookies that a browser sends it.

import { createServer as createPlainServer, request as send } from 'node:http';
import { createServer } from 'node:https';

export class Front {
  /** `Cookie` of every request that came without TLS. */
  cookies = [];

  static async start({ tls, plain, upstream, cert, key }) {
    const front = new Front();
    const pass = (request, response) => {
      const { method, url, rawHeaders: headers } = request;
      const onward = send({ host: '127.0.0.1', port: upstream, method, path: url, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.rawHeaders);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    };
    const note = (request, response) => {
      front.cookies.push(request.headers.cookie ?? '');
      pass(request, response);
    };
    const listen = (server, port) => new Promise((resolve, reject) => {
      server.on('error', reject).listen(port, '127.0.0.1', () => resolve(server));
    });
    const servers = await Promise.all([listen(createServer({ cert, key }, pass), tls), listen(createPlainServer(note), plain)]);
    front.close = () => {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    };
    return front;
  }
}
