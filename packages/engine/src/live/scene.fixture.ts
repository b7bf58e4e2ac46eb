import type { Clock, Row, Timers } from '@kalamdb/protocol';
import type { Principal } from '../contract.ts';
import type { LiveConnection } from './connection.ts';
import type { LiveFrame } from './frame.ts';
import { LiveWorld, TABLES, type WorldParts } from './live-world.fixture.ts';
import type { SubscribeOptions } from './load-mode.ts';
import { SimulatedClient } from './simulated-client.fixture.ts';

/** The user whose rows the tests write. */
export const ALICE: Principal = { userId: 'alice', role: 'user' };
/** Somebody else. */
export const BOB: Principal = { userId: 'bob', role: 'user' };

/** Time that a test moves. */
interface MovedTime extends Clock, Timers {
  advance(millis: number): void;
}

/** A world with some queries known, and shorthands for what clients and writers do. */
export function openScene(parts: WorldParts & { readonly time: MovedTime }) {
  const { time } = parts;
  const world = new LiveWorld(parts);
  world.query('all', { table: TABLES.user });
  world.query('shared', { table: TABLES.shared });
  world.query('events', { table: TABLES.stream });
  world.query('n > 5', { table: TABLES.user, filter: ({ cells }) => (cells[2] as bigint | null) !== null && (cells[2] as bigint) > 5n });
  const connect = (principal: Principal = ALICE, connectionId = 'c1') => {
    const client = new SimulatedClient();
    return { client, connection: world.live.connect(principal, { connectionId, sink: client }) };
  };
  const put = (...rows: Row[]) =>
    world.write(
      TABLES.user,
      'alice',
      rows.map((cells) => ({ cells })),
    );
  const remove = (...rows: Row[]) =>
    world.write(
      TABLES.user,
      'alice',
      rows.map((cells) => ({ cells, deleted: true })),
    );
  /** Lets slices and catch-up go on. */
  const settle = async () => {
    for (let i = 0; i < 50; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      time.advance(0);
    }
  };
  return { world, time, connect, put, remove, settle };
}

/** Subscribes as the wire does. */
export const subscribe = (connection: LiveConnection, sql: string, options?: SubscribeOptions, id = 's') =>
  connection.subscribe({ id, sql, options });

/** A frame in short: kind, and what of it matters to the load. */
export function short(frame: LiveFrame): unknown {
  switch (frame.kind) {
    case 'ack':
      return ['ack', frame.control.batchNum, frame.control.status, frame.control.hasMore];
    case 'batch':
      return ['batch', frame.control.batchNum, frame.control.status, ...frame.rows.map((text): number => JSON.parse(text).id)];
    case 'change': {
      const { change_type, rows, old_values } = JSON.parse(`{${frame.body.json()}}`);
      return [change_type, (rows ?? old_values)[0].id ?? (rows ?? old_values)[0].row_id];
    }
    case 'progress':
      return ['progress'];
    case 'error':
      return ['error', frame.code];
  }
}
