import { PassThrough } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import type { RowData } from '@kalamdb/client';
import { act, cleanup, render, waitFor } from '@testing-library/react';
import { type ReactNode, Suspense, useEffect } from 'react';
import { renderToPipeableStream, renderToString } from 'react-dom/server';
import { afterEach, describe, expect, it } from 'vitest';
import { page } from './dom.fixture.ts';
import { KalamProvider, useLiveQuery, useSuspenseLiveQuery } from './index.ts';
import { serverWorld } from './server-world.fixture.ts';

const SQL = 'SELECT * FROM app.items';
const world = serverWorld();
afterEach(cleanup);

const body = (row: RowData): string => row['body']?.asString() ?? '';
const provided = (children: ReactNode): ReactNode => (
  <KalamProvider client={world.client} graceMillis={50}>
    {children}
  </KalamProvider>
);
const initialRows = ['from the server'];
const Bodies = ({ initial }: { readonly initial?: readonly string[] }): ReactNode =>
  useLiveQuery(SQL, { select: body, orderBy: ['id'], initialRows: initial }).rows.join();
const Ready = ({ mounted }: { readonly mounted: () => void }): ReactNode => {
  useEffect(mounted);
  return <p>{useSuspenseLiveQuery(SQL, { select: body, orderBy: ['id'] }).rows.join()}</p>;
};

describe('rendering on a server', () => {
  it('shows the initial rows and opens nothing, and in the page they give way to the live ones', async () => {
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a')");
    const html = renderToString(provided(<Bodies initial={initialRows} />));
    expect(html).toBe('from the server');
    expect(renderToString(provided(<Bodies />))).toBe('');
    expect(world.asked).toEqual([]);
    const container = page.document.createElement('div');
    container.innerHTML = html;
    const problems: unknown[] = [];
    const onRecoverableError = (error: unknown): void => void problems.push(error);
    render(provided(<Bodies initial={initialRows} />), { container: container as never, hydrate: true, onRecoverableError });
    expect(container.textContent).toBe('from the server');
    await waitFor(() => expect(container.textContent).toBe('a'));
    expect(problems).toEqual([]);
  });

  it('streams the rows when they are there, lets go of the query, and the page takes over', async () => {
    await world.sql("INSERT INTO app.items (id, body) VALUES (1, 'a')");
    const mounted: boolean[] = [];
    const tree = (): ReactNode =>
      provided(
        <Suspense fallback="waiting">
          <Ready mounted={() => void mounted.push(true)} />
        </Suspense>,
      );
    const stream = new PassThrough();
    const { pipe } = renderToPipeableStream(tree(), { onAllReady: () => pipe(stream) });
    const html = await readText(stream);
    expect(html).toContain('<p>a</p>');
    await waitFor(() => expect(world.client.getSubscriptionCount()).toBe(0));
    const container = page.document.createElement('div');
    container.innerHTML = html;
    const problems: unknown[] = [];
    const onRecoverableError = (error: unknown): void => void problems.push(error);
    render(tree(), { container: container as never, hydrate: true, onRecoverableError });
    expect(container.textContent).toContain('a');
    await waitFor(() => expect(mounted).not.toEqual([]));
    await act(() => world.sql("INSERT INTO app.items (id, body) VALUES (2, 'b')"));
    await waitFor(() => expect(container.querySelector('p')?.textContent).toBe('a,b'));
    expect(problems).toEqual([]);
  });
});
