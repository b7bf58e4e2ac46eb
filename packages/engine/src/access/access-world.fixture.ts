import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { type CatalogWorld, openCatalog } from '../catalog/catalog.fixture.ts';
import { AUDIT_LOG, type AuditEntry } from '../catalog/system-tables/audit-log.ts';
import { type Access, openAccess } from '../database/open-access.ts';
import { PasswordHasher } from './password.ts';

/** Users, tokens and audit log on a real sequencer over memory stores. */
export interface AccessWorld extends Omit<CatalogWorld, 'reopen'>, Access {
  readonly time: VirtualTime;
  reopen(): Promise<AccessWorld>;
}

/** Opens a fresh database with its bootstrap done. */
export async function openAccessWorld(options: Parameters<typeof openAccess>[1] = {}): Promise<AccessWorld> {
  const time = new VirtualTime();
  const random = new SeededRandom(1);
  return worldOf(await openCatalog({ time, random }), { time, random, options });
}

interface WorldParts {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly options: Parameters<typeof openAccess>[1];
}

function worldOf(world: CatalogWorld, parts: WorldParts): AccessWorld {
  const { time, random, options } = parts;
  const hasher = new PasswordHasher({ memoryKib: 64, iterations: 1 }, random);
  const warn = (text: string, detail: object): never => {
    throw new Error(text, { cause: detail });
  };
  const access = openAccess({ ...world, hasher, clock: time, random, timers: time, warn }, options);
  return { ...world, ...access, time, reopen: async () => worldOf(await world.reopen(), parts) };
}

/** The audit log in the order in which it was written. */
export function auditRows({ sequencer }: Pick<AccessWorld, 'sequencer'>): readonly AuditEntry[] {
  return sequencer.snapshots.read((snapshot) => {
    const rows = [...snapshot.view(AUDIT_LOG, AUDIT_LOG.partitionFor('')).scan()].sort((a, b) => Number(a.seq - b.seq));
    return rows.map(({ cells }) => {
      const [, , actor, action, target, details, address, subject] = cells.map((cell) => (cell === null ? undefined : String(cell)));
      return { actor: actor ?? '', action: action ?? '', target: target ?? '', details, address, subject };
    });
  });
}
