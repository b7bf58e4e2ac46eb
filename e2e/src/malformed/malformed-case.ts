import type { SeededRandom } from '@kalamdb/testing';

/** One thing a hostile client does, and what may come of it. */
export interface MalformedCase {
  /** The family, for the count of outcomes. */
  readonly name: string;
  /** The outcomes that are right. */
  readonly allowed: RegExp;
  /** Does it and answers the outcome. */
  play(scene: Scene): Promise<string>;
}

/** What cases play on. */
export interface Scene {
  readonly port: number;
  /** Of a user who may use the database. */
  readonly token: string;
  /** A connection that is kept from case to case as long as the server lets it. */
  peer(mode: 'json' | 'msgpack'): Promise<KeptPeer>;
}

/** A connection that outlives cases. */
export interface KeptPeer {
  write(bytes: Buffer): void;
  writeSlowly(bytes: Buffer, pieces: number): Promise<void>;
  /** What the server says before it answers a harmless question that is sent now: `error CODE`, `close CODE`, `end`, `none`, or the type of a message. */
  outcome(): Promise<string>;
}

/** Picks from families by weight. */
export interface Family {
  readonly weight: number;
  make(random: SeededRandom): MalformedCase;
}
