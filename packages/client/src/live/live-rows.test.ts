import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SchemaField } from '../messages/schema-field.ts';
import type { BatchPosition, ChangeFrame } from '../messages/server-frame.ts';
import type { RowData, WireRow } from '../rows/row-data.ts';
import { LiveRows, type LiveRowsSettings } from './live-rows.ts';
import { LiveView, type LiveViewSettings } from './live-view.ts';

const SCHEMA: readonly SchemaField[] = [
  { name: 'id', data_type: 'Int', index: 0, flags: ['pk', 'nn', 'uq'] },
  { name: 'a', data_type: 'Text', index: 1 },
  { name: 'b', data_type: 'BigInt', index: 2 },
  { name: '_seq', data_type: 'BigInt', index: 3, flags: ['nn'] },
  { name: '_deleted', data_type: 'Boolean', index: 4, flags: ['nn'] },
];
const position = (hasMore: boolean): BatchPosition => ({ batch_num: 0, has_more: hasMore, status: hasMore ? 'loading' : 'ready' });
const plain = (row: RowData): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, cell.toJson()]));

type Plain = Record<string, unknown>;
function open(settings: Partial<LiveRowsSettings & LiveViewSettings<Plain>> = {}) {
  const shown: Plain[][] = [];
  const failures: string[] = [];
  const view = new LiveView<Plain>({
    mapRow: plain,
    show: (set) => {
      shown.push(set);
      return undefined;
    },
    failed: ({ code }) => failures.push(code),
    stateChanged: undefined,
    thrown: (error) => {
      throw error;
    },
    ...settings,
  });
  const rows = new LiveRows({ sql: 'SELECT * FROM app.t', limit: undefined, keyColumns: ['id'], getKey: undefined, ...settings });
  rows.join(view);
  const ack = (fresh = true): void => {
    rows.check(SCHEMA);
    rows.acknowledged({ type: 'subscription_ack', subscription_id: 's', schema: SCHEMA, batch_control: position(false) }, fresh);
  };
  const batch = (batchRows: readonly WireRow[], hasMore = false): void =>
    rows.batch({ type: 'initial_data_batch', subscription_id: 's', rows: batchRows, batch_control: position(hasMore) });
  const change = (changeType: ChangeFrame['change_type'], newRows: readonly WireRow[], oldValues: readonly WireRow[] = []): void =>
    rows.changed({ type: 'change', subscription_id: 's', change_type: changeType, rows: newRows, old_values: oldValues });
  return { rows, shown, failures, ack, batch, change };
}

/** A table as the server sees it, which also words the frames of its changes as the wire does. */
class Model {
  readonly #rows = new Map<number, WireRow>();
  #seq = 1000n;

  get rows(): readonly WireRow[] {
    return [...this.#rows.values()];
  }
  next(): string {
    return String(++this.#seq);
  }
  write(id: number, cells: { a: string | null; b: string | null }): ChangeFrame {
    const before = this.#rows.get(id);
    const row: WireRow = { id, ...cells, _seq: this.next(), _deleted: false };
    this.#rows.set(id, row);
    if (before === undefined) return { type: 'change', subscription_id: 's', change_type: 'insert', rows: [row], old_values: [] };
    const present = Object.entries(row).filter(([name, cell]) => cell !== null && name !== '_deleted');
    const changed = Object.entries(before).filter(([name, cell]) => (name === 'a' || name === 'b') && cell !== row[name]);
    return {
      type: 'change',
      subscription_id: 's',
      change_type: 'update',
      rows: [Object.fromEntries(present)],
      old_values: [{ id, _seq: before['_seq'] ?? null, ...Object.fromEntries(changed) }],
    };
  }
  remove(id: number): ChangeFrame | undefined {
    const before = this.#rows.get(id);
    if (before === undefined) return undefined;
    this.#rows.delete(id);
    return {
      type: 'change',
      subscription_id: 's',
      change_type: 'delete',
      rows: [],
      old_values: [{ ...before, _seq: this.next(), _deleted: true }],
    };
  }
}

const cells = fc.record({ a: fc.option(fc.constantFrom('x', 'y')), b: fc.option(fc.constantFrom('1', '9007199254740993')) });
const step = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), id: fc.nat(5), cells }),
  fc.record({ kind: fc.constant('remove' as const), id: fc.nat(5) }),
);

describe('live rows', () => {
  it('equal the table after every change, NULLs included', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ id: fc.nat(5), cells })), fc.array(step, { maxLength: 50 }), fc.nat(3), (seedRows, steps, cut) => {
        const model = new Model();
        for (const { id, cells: values } of seedRows) model.write(id, values);
        const { shown, ack, batch, change } = open();
        ack();
        batch(model.rows.slice(0, cut), true);
        expect(shown).toEqual([]);
        batch(model.rows.slice(cut));
        expect(shown.at(-1)).toEqual(model.rows);
        for (const next of steps) {
          const frame = next.kind === 'write' ? model.write(next.id, next.cells) : model.remove(next.id);
          if (frame === undefined) continue;
          change(frame.change_type, frame.rows ?? [], frame.old_values ?? []);
          expect(shown.at(-1)).toEqual(model.rows);
        }
      }),
    );
  });

  it('shows each change once, and rows that did not change are the same objects', () => {
    const { shown, ack, batch, change } = open();
    ack();
    batch([
      { id: 1, a: 'x', b: null, _seq: '1', _deleted: false },
      { id: 2, a: 'y', b: null, _seq: '2', _deleted: false },
    ]);
    change('update', [{ id: 2, a: 'z', _seq: '3' }], [{ id: 2, a: 'y', _seq: '2' }]);
    expect(shown).toHaveLength(2);
    expect(shown[1]?.[0]).toBe(shown[0]?.[0]);
    expect(shown[1]?.[1]).toEqual({ id: 2, a: 'z', b: null, _seq: '3', _deleted: false });
  });

  it('an update that carries less than the row leaves the rest as it was', () => {
    const { shown, ack, batch, change } = open();
    ack();
    batch([{ id: 1, a: 'x', b: '7', _seq: '1', _deleted: false }]);
    change('update', [{ id: 1, a: 'y', _seq: '2' }], [{ id: 1, a: 'x', _seq: '1' }]);
    expect(shown.at(-1)).toEqual([{ id: 1, a: 'y', b: '7', _seq: '2', _deleted: false }]);
  });

  it('shows an empty set for an empty snapshot', () => {
    const { shown, ack, batch } = open();
    ack();
    batch([]);
    expect(shown).toEqual([[]]);
  });

  it('keeps the newest rows when there is a limit', () => {
    const { shown, ack, batch, change } = open({ limit: 2 });
    ack();
    batch([1, 2, 3].map((id) => ({ id, a: null, b: null, _seq: String(id), _deleted: false })));
    change('insert', [{ id: 4, a: null, b: null, _seq: '4', _deleted: false }]);
    expect(shown.map((rows) => rows.map((row) => row['id']))).toEqual([
      [2, 3],
      [3, 4],
    ]);
  });

  it('a resume that brings nothing shows nothing, one that brings something shows it once', () => {
    const { shown, ack, batch } = open();
    ack();
    batch([{ id: 1, a: 'x', b: null, _seq: '1', _deleted: false }]);
    ack(false);
    batch([]);
    expect(shown).toHaveLength(1);
    ack(false);
    batch([{ id: 2, a: 'x', b: null, _seq: '2', _deleted: false }], true);
    batch([{ id: 3, a: 'x', b: null, _seq: '3', _deleted: false }]);
    expect(shown.map((rows) => rows.length)).toEqual([1, 3]);
  });

  it('a row whose key changes leaves its old key', () => {
    const byColumn = open({ keyColumns: ['a'] });
    const byFunction = open({ getKey: (row) => row['a']?.asString() });
    for (const { shown, ack, batch, change } of [byColumn, byFunction]) {
      ack();
      batch([{ id: 1, a: 'x', b: '7', _seq: '1', _deleted: false }]);
      change('update', [{ id: 1, a: 'y', b: '7', _seq: '2' }], [{ id: 1, a: 'x', _seq: '1' }]);
      expect(shown.at(-1)).toEqual([{ id: 1, a: 'y', b: '7', _seq: '2', _deleted: false }]);
      change('delete', [], [{ id: 1, a: 'y', b: '7', _seq: '3', _deleted: true }]);
      expect(shown.at(-1)).toEqual([]);
    }
  });

  it('a getKey that throws costs its own row only, and is told', () => {
    const { shown, ack, batch } = open({
      getKey: (row) => {
        const id = row['id']?.asInt();
        if (id === 2) throw new Error('mine');
        return id;
      },
    });
    ack();
    expect(() => batch([1, 2, 3].map((id) => ({ id, a: null, b: null, _seq: String(id), _deleted: false })))).toThrow('mine');
    expect(shown.at(-1)?.map((row) => row['id'])).toEqual([1, 3]);
  });

  it('a fresh snapshot replaces everything', () => {
    const { shown, ack, batch } = open();
    ack();
    batch([{ id: 1, a: 'x', b: null, _seq: '1', _deleted: false }]);
    ack(true);
    batch([{ id: 2, a: 'x', b: null, _seq: '2', _deleted: false }]);
    expect(shown.at(-1)?.map((row) => row['id'])).toEqual([2]);
  });

  it('refuses a selection without its key', () => {
    const { ack } = open({ keyColumns: ['id', 'tenant'] });
    expect(ack).toThrow(expect.objectContaining({ code: 'KEY_MISSING' }));
  });

  it('removes a row of a stream by its row_id', () => {
    const { shown, ack, batch, change } = open();
    ack();
    batch([{ id: 1, a: 'x', b: null, _seq: '77', _deleted: false }]);
    change('delete', [], [{ row_id: 'alice:77' }]);
    expect(shown.at(-1)).toEqual([]);
  });
});
