// A far-away server, on loopback: stands before an HTTP server (plain http) and adds a network's delay and bandwidth, counts
// requests and bytes, hangs or cuts connections when told. Every byte goes through as it came, the signed Host header too.
// TCP only: a connection costs a round trip before its first byte arrives, as it does on a network; slow start is not shown.

import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { systemClock } from '../lib/clock.js';
import { Link, type FarEnd, type Flow } from './slow-proxy/link.js';
import { RequestCounter } from './slow-proxy/request-counter.js';

export interface SlowProxyOptions {
  /** As in 'http://127.0.0.1:7480'. */
  readonly target: string;
  readonly roundTrip_ms: number;
  /** Of each direction, shared by all connections; Infinity: no limit. */
  readonly bandwidth_bytes_per_s: number;
}

export interface ProxyCounts {
  /** Requests whose head arrived here, in all and by method. */
  readonly requests: number;
  readonly methods: Readonly<Record<string, number>>;
  readonly connections: number;
  /** What reached the server, heads and all. */
  readonly sent_bytes: number;
  /** What reached the client. */
  readonly received_bytes: number;
}

export interface SlowProxy {
  readonly endpoint: string;
  counts(): ProxyCounts;
  /** 'GET /bucket/key?…' of every request so far. */
  requests(): readonly string[];
  /** Connections are accepted and nothing goes through any more, in either direction. */
  hang(): void;
  /** What was held back by `hang` goes on. */
  resume(): void;
  /** Every open connection is reset; new ones work. */
  cut(): void;
  /** The line is dead: every open connection is reset, and nothing listens any more. */
  refuse(): void;
  /** It listens again where it did. */
  accept(): Promise<void>;
  close(): Promise<void>;
}

interface Connection {
  readonly client: Socket;
  /** Ends both sides at once. */
  readonly sever: () => void;
}

export async function startSlowProxy(options: SlowProxyOptions): Promise<SlowProxy> {
  const target = new URL(options.target);
  const line = { delay_ms: options.roundTrip_ms / 2, bandwidth_bytes_per_s: options.bandwidth_bytes_per_s };
  const up = new Link(line);
  const down = new Link(line);
  const requests: string[] = [];
  const methods: Record<string, number> = {};
  const open = new Set<Connection>();
  let connections = 0;
  let sent_bytes = 0;
  let received_bytes = 0;

  const onRequest = (request: string): void => {
    requests.push(request);
    const method = request.slice(0, request.indexOf(' '));
    methods[method] = (methods[method] ?? 0) + 1;
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    connections++;
    const upstream = connect({
      host: target.hostname,
      port: Number(target.port || 80),
      allowHalfOpen: true,
      noDelay: true,
    });
    const counter = new RequestCounter(onRequest);
    client.on('data', (bytes: Buffer) => counter.push(bytes));
    const connected_ms = systemClock.monotonic_ms() + options.roundTrip_ms;
    const there = carry(up, client, upstream, connected_ms, (count) => (sent_bytes += count));
    const back = carry(down, upstream, client, connected_ms, (count) => (received_bytes += count));
    const connection: Connection = {
      client,
      sever() {
        open.delete(connection);
        up.close(there);
        down.close(back);
        client.destroy();
        upstream.destroy();
      },
    };
    open.add(connection);
    for (const socket of [client, upstream]) {
      // A reset on either side is the network's business; 'close' follows.
      socket.on('error', () => undefined);
      // After an orderly end its last bytes may still be on their way, and the other side ends with them.
      socket.on('close', (hadError) => {
        if (hadError || !socket.readableEnded || (client.destroyed && upstream.destroyed)) connection.sever();
      });
    }
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const { client } of open) client.resetAndDestroy();
  };

  return {
    endpoint: `http://127.0.0.1:${port}`,
    counts: () => ({
      requests: requests.length,
      methods: { ...methods },
      connections,
      sent_bytes,
      received_bytes,
    }),
    requests: () => requests,
    hang() {
      up.hold();
      down.hold();
    },
    resume() {
      up.release();
      down.release();
    },
    cut,
    refuse() {
      server.close();
      cut();
    },
    accept: () => listen(port),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const { sever } of open) sever();
      await closed;
    },
  };
}

/** Takes what comes out of `from` over the link into `to`, and lets `from` wait where `to` does not keep up. */
function carry(
  link: Link,
  from: Socket,
  to: Socket,
  earliest_ms: number,
  onDelivered: (bytes: number) => void,
): Flow {
  const goOn = (): void => {
    if (from.isPaused() && !flow.isFull) from.resume();
  };
  const farEnd: FarEnd = {
    deliver(bytes) {
      onDelivered(bytes.length);
      to.write(bytes);
      goOn();
    },
    end: () => to.end(),
    buffered_bytes: () => to.writableLength,
  };
  const flow = link.open(farEnd, earliest_ms);
  from.on('data', (bytes: Buffer) => {
    flow.send(bytes);
    if (flow.isFull) from.pause();
  });
  from.on('end', () => flow.end());
  to.on('drain', goOn);
  return flow;
}
