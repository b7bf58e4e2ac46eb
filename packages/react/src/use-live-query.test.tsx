import type { KalamClientError, RowData } from '@kalamdb/client';
import { act, cleanup, render, waitFor } from '@testing-library/react';
import { Component, memo, type ReactNode, StrictMode, Suspense, startTransition, useLayoutEffect, useState } from 'react';
import { afterEach, describe, expect, it } from 'vitest';
import { page } from './dom.fixture.ts';
import { KalamProvider, type LiveQueryOptions, type LiveQueryResult, useKalamClient, useLiveQuery, useSuspenseLiveQuery } from './index.ts';
import { QueryStore } from './query-store.ts';
import { serverWorld } from './server-world.fixture.ts';

const SQL = 'SELECT * FROM app.items';
const GRACE_MILLIS = 100;

const world = serverWorld();
afterEach(cleanup);

interface Item {
  readonly id: number;
  readonly body: string;
}
const item = (row: RowData): Item => ({ id: row['id']?.asInt() ?? 0, body: row['body']?.asString() ?? '' });
const bodies = (result: LiveQueryResult<Item>): string => result.rows.map(({ body }) => body).join();

const provided = (children: ReactNode): ReactNode => (
  <KalamProvider client={world.client} graceMillis={GRACE_MILLIS}>
    {children}
  </KalamProvider>
);
const show = (children: ReactNode, options = {}): ReturnType<typeof render> => render(provided(children), options);
const text = (): string => page.document.body.textContent;
const shown = (expected: string): Promise<void> => waitFor(() => expect(text()).toBe(expected), { timeout: 5_000 });
const pause = (millis: number): Promise<void> => act(() => new Promise<void>((resolve) => setTimeout(resolve, millis)));

function Bodies({ sql = SQL, options = {} }: { readonly sql?: string | undefined; readonly options?: LiveQueryOptions<Item> }): ReactNode {
  const result = useLiveQuery<Item>(sql, { select: item, orderBy: ['id'], ...options });
  return result.error === undefined ? `${result.state}:${bodies(result)}` : `${result.state}!${(result.error as KalamClientError).code}`;
}

/** Shows what an error boundary has caught. */
class Boundary extends Component<{ readonly children: ReactNode }, { readonly error?: Error }> {
  override state: { readonly error?: Error } = {};
  static getDerivedStateFromError(error: Error): { readonly error: Error } {
    return { error };
  }
  override render(): ReactNode {
    return this.state.error === undefined ? this.props.children : `caught ${(this.state.error as KalamClientError).code}`;
  }
}

describe('useLiveQuery', () => {
  it('shows the rows and every change, with one subscription, also in StrictMode', async () => {
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a')");
    show(
      <StrictMode>
        <Bodies />
      </StrictMode>,
    );
    expect(text()).toBe('loading:');
    await shown('live:a');
    await act(() => world.sql("INSERT INTO app.items (id, body) VALUES (0, 'z'), (2, 'b')"));
    await shown('live:z,a,b');
    await act(() => world.sql('DELETE FROM app.items WHERE id = 1'));
    await shown('live:z,b');
    expect(world.asked).toEqual([SQL]);
    expect(world.client.getSubscriptionCount()).toBe(1);
  });

  it('renders only what has changed, although its functions are new each time', async () => {
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a'), (2, 'b')");
    const renders: string[] = [];
    const Row = memo(({ row }: { readonly row: Item }) => {
      renders.push(row.body);
      return row.body;
    });
    let again: () => void = () => undefined;
    const List = (): ReactNode => {
      const [count, setCount] = useState(0);
      again = () => setCount(count + 1);
      const { rows } = useLiveQuery(SQL, { select: (row) => item(row), orderBy: (a, b) => b.id - a.id });
      renders.push(`list ${count}`);
      return rows.map((row) => <Row key={row.id} row={row} />);
    };
    show(<List />);
    await shown('ba');
    renders.length = 0;
    await act(() => again());
    expect(renders).toEqual(['list 1']);
    await act(() => world.sql("UPDATE app.items SET body = 'c' WHERE id = 2"));
    await shown('ca');
    expect(renders).toEqual(['list 1', 'list 1', 'c']);
    await world.sql("UPDATE app.items SET note = 'nobody selects it' WHERE id = 1");
    await world.sql("INSERT INTO app.items (id, body) VALUES (3, 'd')");
    await shown('dca');
    expect(renders).toEqual(['list 1', 'list 1', 'c', 'list 1', 'd']);
  });

  it('shares a query among components, each with its own selection, and closes it a moment after the last', async () => {
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a')");
    const Ids = (): ReactNode => useLiveQuery(SQL, { select: (row) => row['id']?.asInt(), orderBy: ['id'] }).rows.join();
    const view = show([<Bodies key="one" />, <Ids key="two" />, <Bodies key="three" options={{ orderBy: (a, b) => b.id - a.id }} />]);
    await shown('live:a1live:a');
    // the order by columns is the query's own
    expect(new Set(world.asked)).toEqual(new Set([SQL]));
    expect(world.asked).toHaveLength(1);
    view.rerender(provided(<Ids key="two" />));
    await pause(2 * GRACE_MILLIS);
    expect(world.client.getSubscriptionCount()).toBe(1);
    view.rerender(provided(null));
    view.rerender(provided(<Ids key="two" />));
    expect(text()).toBe('1');
    view.rerender(provided(null));
    await waitFor(() => expect(world.client.getSubscriptionCount()).toBe(0));
    expect(world.asked).toHaveLength(1);
  });

  it('keeps a query that nobody uses for as long as it is told, for ever if need be', async () => {
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a')");
    const kept = (children: ReactNode): ReactNode => (
      <KalamProvider client={world.client} graceMillis={Number.POSITIVE_INFINITY}>
        {children}
      </KalamProvider>
    );
    const view = render(kept(<Bodies />));
    await shown('live:a');
    view.rerender(kept(null));
    await pause(50);
    view.rerender(kept(<Bodies />));
    expect(text()).toBe('live:a');
    expect(world.asked).toHaveLength(1);
    view.rerender(kept(null));
    await world.client.unsubscribeAll();
    await waitFor(() => expect(QueryStore.of(world.client).size).toBe(0), { timeout: 5_000 });
  });

  it('shows the initial rows until there are others, also when something goes wrong before', async () => {
    const initialRows = [{ id: 1, body: 'initial' }];
    const Waiting = ({ sql = SQL }: { readonly sql?: string }): ReactNode => {
      const result = useLiveQuery<Item>(sql, { select: item, initialRows });
      return `${result.state}:${bodies(result)}`;
    };
    const view = show(<Waiting sql="SELECT * FROM app.nothing" />);
    expect(text()).toBe('loading:initial');
    await shown('error:initial');
    view.rerender(provided(<Waiting />));
    await shown('live:');
    const Suspended = (): ReactNode => bodies(useSuspenseLiveQuery<Item>(`${SQL} WHERE id > 0`, { select: item, initialRows }));
    view.rerender(provided(<Suspended />));
    expect(text()).toBe('initial');
    await shown('');
  });

  it('follows its parameters, and is idle without a query', async () => {
    await world.sql("INSERT INTO app.items (id, list, body) VALUES (1, 1, 'a'), (2, 2, 'b')");
    const ofList = (list: number): ReactNode => provided(<Bodies sql={`${SQL} WHERE list = $1`} options={{ params: [list] }} />);
    const view = render(ofList(1));
    await shown('live:a');
    view.rerender(ofList(2));
    expect(text()).toBe('loading:');
    await shown('live:b');
    expect(world.asked).toEqual([`${SQL} WHERE list = 1`, `${SQL} WHERE list = 2`]);
    const Idle = (): ReactNode => useLiveQuery(undefined).state;
    view.rerender(provided(<Idle />));
    expect(text()).toBe('idle');
    await waitFor(() => expect(world.client.getSubscriptionCount()).toBe(0));
  });

  it('shows a query with ORDER BY and LIMIT in the order of the server', async () => {
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    const Top = (): ReactNode => bodies(useLiveQuery<Item>(`${SQL} ORDER BY body DESC LIMIT 2`, { select: item }));
    show(<Top />);
    await shown('c,b');
    await act(() => world.sql("UPDATE app.items SET body = 'x' WHERE id = 1"));
    await shown('x,c');
    await act(() => world.sql('DELETE FROM app.items WHERE id = 3'));
    await shown('x,b');
  });

  it('says what went wrong, and how the connection is', async () => {
    show(<Bodies sql="SELECT * FROM app.nothing" />);
    await waitFor(() => expect(text()).toMatch(/^error!/));
    cleanup();
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a')");
    show(<Bodies />);
    await shown('live:a');
    await act(() => world.client.disconnect());
    expect(text()).toBe('reconnecting:a');
    await act(() => world.client.connect());
    await shown('live:a');
    await act(() => world.client.shutdown());
    expect(text()).toBe('closed:a');
    cleanup();
    await pause(2 * GRACE_MILLIS);
    show(<Bodies />);
    await shown('error!CLIENT_CLOSED');
  });

  it('never shows two states of a query in one render', async () => {
    const pairs: string[] = [];
    let count: (value: number) => void = () => undefined;
    const One = (): ReactNode => bodies(useLiveQuery<Item>(SQL, { select: item, orderBy: ['id'] }));
    const Slow = (): ReactNode => {
      const rows = bodies(useLiveQuery<Item>(SQL, { select: item, orderBy: ['id'] }));
      const until = performance.now() + 3;
      while (performance.now() < until);
      return rows;
    };
    const Both = (): ReactNode => {
      const [value, setValue] = useState(0);
      count = setValue;
      useLayoutEffect(() => {
        pairs.push([...page.document.querySelectorAll('p')].map((one) => one.textContent).join('|'));
      });
      return [0, 1, 2, 3].map((key) => <p key={key}>{key === 0 ? <One /> : <Slow key={value} />}</p>);
    };
    show(<Both />);
    for (let id = 0; id < 12; id++) {
      startTransition(() => count(id));
      await act(() => world.sql(`INSERT INTO app.items (id, body) VALUES (${id}, '${id}')`));
    }
    const all = Array.from({ length: 12 }, (_none, id) => id).join();
    await shown(all.repeat(4));
    expect(pairs.length).toBeGreaterThan(2);
    for (const pair of pairs) expect(new Set(pair.split('|')).size).toBe(1);
  });

  it('needs a provider', () => {
    const Writer = (): ReactNode => (useKalamClient() === world.client ? 'the client' : 'another');
    show(<Writer />);
    expect(text()).toBe('the client');
    cleanup();
    render(
      <Boundary>
        <Writer />
      </Boundary>,
      { onCaughtError: () => undefined },
    );
    expect(text()).toBe('caught INVALID_ARGUMENT');
  });
});

describe('useSuspenseLiveQuery', () => {
  const Ready = ({ sql = SQL, params }: { readonly sql?: string; readonly params?: readonly unknown[] }): ReactNode =>
    `[${bodies(useSuspenseLiveQuery<Item>(sql, { select: item, orderBy: ['id'], params }))}]`;
  const waiting = (children: ReactNode): ReactNode => (
    <Boundary>
      <Suspense fallback="waiting">{children}</Suspense>
    </Boundary>
  );

  it('waits for the rows, with one subscription, also in StrictMode', async () => {
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a')");
    const view = show(<StrictMode>{waiting([<Ready key="one" />, <Ready key="two" />])}</StrictMode>);
    expect(text()).toBe('waiting');
    await shown('[a][a]');
    await act(() => world.sql("INSERT INTO app.items (id, body) VALUES (2, 'b')"));
    await shown('[a,b][a,b]');
    expect(world.asked).toEqual([SQL]);
    view.unmount();
    await waitFor(() => expect(world.client.getSubscriptionCount()).toBe(0));
  });

  it('keeps what is shown while a transition waits for other rows', async () => {
    await world.sql("INSERT INTO app.items (id, list, body) VALUES (1, 1, 'a'), (2, 2, 'b')");
    let choose: (list: number) => void = () => undefined;
    const seen: string[] = [];
    const Chosen = (): ReactNode => {
      const [list, setList] = useState(1);
      choose = setList;
      useLayoutEffect(() => {
        seen.push(text());
      });
      return <Ready sql={`${SQL} WHERE list = $1`} params={[list]} />;
    };
    show(waiting(<Chosen />));
    await shown('[a]');
    seen.length = 0;
    act(() => startTransition(() => choose(2)));
    expect(text()).toBe('[a]');
    await shown('[b]');
    expect(seen).toEqual(['[b]']);
  });

  it('gives a refusal to the error boundary, once', async () => {
    show(waiting(<Ready sql="SELECT * FROM app.nothing" />), { onCaughtError: () => undefined });
    await waitFor(() => expect(text()).toMatch(/^caught /));
    expect(world.asked).toHaveLength(1);
    await waitFor(() => expect(world.client.getSubscriptionCount()).toBe(0));
  });
});
