import type { KalamDBClient } from '@kalamdb/client';
import { KalamProvider, useLiveQuery, useSuspenseLiveQuery } from '@kalamdb/react';
import { createElement, type ReactNode, StrictMode, Suspense } from 'react';
import { type Container, createRoot } from 'react-dom/client';

const SQL = 'SELECT * FROM app.items';

function Items(): ReactNode {
  const { rows, state } = useSuspenseLiveQuery(SQL, { select: (row) => row['body']?.asString(), orderBy: ['id'] });
  return `${state} ${rows.join()}`;
}

function Count(): ReactNode {
  const { rows } = useLiveQuery(SQL, { select: (row) => row['id']?.asInt(), orderBy: ['id'] });
  return ` ${rows.length}`;
}

/** Shows the rows of the page's table in a container, as an application made with React would. */
export function showInReact(client: KalamDBClient, container: Container): void {
  const items = createElement(Suspense, { fallback: 'waiting' }, createElement(Items), createElement(Count));
  createRoot(container).render(createElement(StrictMode, null, createElement(KalamProvider, { client }, items)));
}
